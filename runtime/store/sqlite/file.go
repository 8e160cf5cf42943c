package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/francis-actors/francis/runtime/store"
)

// magic begins every SQLite file.
const magic = "SQLite format 3\x00"

// claim takes the lock of a database file for this process. The lock is another
// file, since SQLite drops all locks of a file when any descriptor of it is closed.
func claim(path string) (*os.File, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(lock); err != nil {
		defer lock.Close()
		return nil, fmt.Errorf("%w%s; stop it, or give this one another file (%w)", store.ErrLocked, holder(lock), err)
	}
	return lock, sign(lock)
}

// abandon gives a lock back. To close the file would not be enough: a process that is
// being started at this moment still has it open.
func abandon(lock *os.File) error {
	return errors.Join(unlock(lock), lock.Close())
}

// checkPath refuses what cannot hold a database that is safe.
func checkPath(path string) error {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return fmt.Errorf("%q is no path; name a file, or use the provider \"memory\"", path)
	}
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("%w; create the folder first", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", folder)
	}
	return checkDisk(folder)
}

// sign writes the process id into the lock, for the error of somebody else.
func sign(lock *os.File) error {
	err := lock.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("sign the lock: %w", err), lock.Close())
	}
	return nil
}

// holder names who signed a lock, as far as that can be read.
func holder(lock *os.File) string {
	pid, err := io.ReadAll(io.LimitReader(lock, 20))
	if pid = bytes.TrimSpace(pid); err != nil || len(pid) == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %s)", pid)
}

// inspect refuses a file that is not ours, by reading alone, and creates a missing
// one, for its owner only.
func inspect(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(file, head)
	switch {
	case errors.Is(err, io.EOF): // empty
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case string(head[:n]) != magic:
		return fmt.Errorf("%w: the file is no SQLite database; name another one", store.ErrForeign)
	}
	return inspectSchema(path)
}

// inspectSchema asks SQLite, since the answer may still be in the log.
func inspectSchema(path string) error {
	c, err := dial(path, "ro")
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = readStamp(c)
	return err
}

// syncLog makes durable what a process that was killed has left in the log. Commits whose
// sync it did not live to see are read like all others from now on, so a crash of the
// machine must not take them back.
func syncLog(path string) error {
	file, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	return nil
}
