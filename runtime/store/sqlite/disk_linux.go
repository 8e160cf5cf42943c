package sqlite

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const smb = "SMB"

// network are the types of file systems whose locks and shared memory SQLite cannot
// rely on.
var network = map[uint32]string{
	unix.NFS_SUPER_MAGIC:   "NFS",
	unix.SMB_SUPER_MAGIC:   smb,
	unix.SMB2_SUPER_MAGIC:  smb,
	unix.CIFS_SUPER_MAGIC:  smb,
	unix.CEPH_SUPER_MAGIC:  "Ceph",
	unix.AFS_SUPER_MAGIC:   "AFS",
	unix.AFS_FS_MAGIC:      "AFS",
	unix.CODA_SUPER_MAGIC:  "Coda",
	unix.NCP_SUPER_MAGIC:   "NCP",
	unix.OCFS2_SUPER_MAGIC: "OCFS2",
	unix.V9FS_MAGIC:        "9P",
	0x0bd00bd0:             "Lustre",
	0x01161970:             "GFS2",
	0x47504653:             "GPFS",
}

// checkDisk refuses a folder on a network file system.
func checkDisk(folder string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return fmt.Errorf("ask for the file system of %s: %w", folder, err)
	}
	return checkType(uint32(stat.Type))
}

func checkType(typ uint32) error {
	if name, ok := network[typ]; ok {
		return fmt.Errorf("the file is on a network file system (%s), where SQLite loses data; put it on a local disk", name)
	}
	return nil
}
