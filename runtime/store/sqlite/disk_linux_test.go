package sqlite

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetworkDisksAreRefused(t *testing.T) {
	t.Parallel()
	if err := checkType(unix.NFS_SUPER_MAGIC); err == nil || !strings.Contains(err.Error(), "local disk") {
		t.Errorf("NFS: %v", err)
	}
	for _, typ := range []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC} {
		if err := checkType(typ); err != nil {
			t.Errorf("%#x: %v", typ, err)
		}
	}
}
