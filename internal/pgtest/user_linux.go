package pgtest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// asServer are the attributes of the server's processes: root runs them as the user
// postgres. They end with who started them.
func asServer() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if uid, gid, ok := server(); ok {
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attributes
}

// server is the user as whom root runs servers.
func server() (uid, gid int, other bool) {
	if os.Getuid() != 0 {
		return 0, 0, false
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, false
	}
	uid, err = strconv.Atoi(account.Uid)
	if err != nil {
		return 0, 0, false
	}
	gid, err = strconv.Atoi(account.Gid)
	return uid, gid, err == nil
}

// give makes a folder that of who runs servers.
func give(dir string) error {
	uid, gid, other := server()
	if !other {
		return nil
	}
	return os.Chown(dir, uid, gid)
}
