package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/runtime/backup"
	"github.com/francis-actors/francis/runtime/serve"
	"github.com/francis-actors/francis/runtime/store"
)

// pipe stands for the standard input or output where a file is named.
const pipe = "-"

func (a *app) backup() *cli.Command {
	return &cli.Command{
		Name:  "backup",
		Usage: "write everything that the store holds to a file",
		Description: `It is as of one moment, and holds actors with their state, idempotency keys, alarms,
jobs and dead letters, whatever the provider is. Runtimes and workers may go on meanwhile.
A file is written beside FILE and takes its place when it is whole; one that is there must
be a backup too.

Examples:
   runtime backup -config config.yaml -f today.backup
   runtime backup -config config.yaml -f - | zstd > today.backup.zst`,
		Flags: []cli.Flag{&cli.StringFlag{
			Name: "f", Usage: "write to `FILE`, or to the standard output if it is -",
		}},
		Action: a.runBackup,
	}
}

func (a *app) runBackup(ctx context.Context, cmd *cli.Command) error {
	to := cmd.String("f")
	switch {
	case to == "":
		return &usageError{cmd.FullName(), "say where the backup goes with -f FILE, or with -f - into a pipe"}
	case to == pipe && isTerminal(a.stdout):
		return &usageError{cmd.FullName(), "a backup is nothing to read on a terminal; name a file with -f FILE, or lead it into a pipe"}
	}
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	stop, release := untilInterrupted(ctx)
	defer release()
	tally, err := a.writeBackup(to, serve.Backup(stop, cfg.Provider))
	switch {
	case err != nil && stop.Err() != nil:
		return errors.New("interrupted; no backup was written")
	case err != nil:
		return err
	case to != pipe:
		if _, err := fmt.Fprintf(a.stdout, "Backed up %s to %s.\n", describe(tally), to); err != nil {
			return err
		}
	}
	if tally.Damaged > 0 {
		return fmt.Errorf("the backup is whole, and has damaged rows (%d): they are so in the store, and stay so where it is restored", tally.Damaged)
	}
	return nil
}

// untilInterrupted returns a context that ends with the first signal. The second one ends
// the process.
func untilInterrupted(ctx context.Context) (stop context.Context, release func()) {
	stop, kill, give := interrupts(ctx)
	forget := context.AfterFunc(kill, func() { os.Exit(exitKilled) })
	return stop, func() {
		forget()
		give()
	}
}

// writeBackup writes a backup to a file or into the pipe.
func (a *app) writeBackup(to string, records store.Backup) (tally backup.Tally, err error) {
	progress := newProgress(a.stderr, "backing up")
	defer progress.clear()
	records = progress.reported(records)
	if to == pipe {
		return backup.Write(a.stdout, records, progress.see)
	}
	err = replaceFile(to, func(file io.Writer) error {
		tally, err = backup.Write(file, records, progress.see)
		return err
	})
	return tally, err
}

// replaceFile writes a file that takes the place of the one with that name, or to which a
// link of that name leads, when it is whole and on the disk. It is for its owner only.
func replaceFile(path string, write func(io.Writer) error) error {
	if err := replaceable(path); err != nil {
		return err
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // it is not there any more if all went well
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// replaceable refuses a file that is something else than a backup: it may be the store
// itself.
func replaceable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file; use -f - and lead the output there", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info.Size() > 0 && !backup.Begins(file) {
		return fmt.Errorf("%s is there and is no backup; name another file, or remove it", path)
	}
	return nil
}

// maxReported bounds how many damaged rows are told.
const maxReported = 100

// reported is a backup of which the damaged rows are told, too.
func (p *progress) reported(records store.Backup) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		told := 0
		for record, err := range records {
			if row := damaged(record); row != "" && told < maxReported {
				told++
				p.clear()
				fmt.Fprintf(p.out, "damaged: %s\n", row)
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// damaged is a damaged row for people, and nothing for one that is not.
func damaged(record *backupv1.Record) string {
	switch r := record.GetRecord().(type) {
	case *backupv1.Record_Actor:
		if r.Actor.GetDamaged() {
			return fmt.Sprintf("actor %q of type %q", r.Actor.GetId(), r.Actor.GetType())
		}
	case *backupv1.Record_Key:
		if r.Key.GetDamaged() {
			return fmt.Sprintf("an idempotency key of actor %q of type %q", r.Key.GetId(), r.Key.GetType())
		}
	case *backupv1.Record_Task:
		if r.Task.GetDamaged() {
			key := store.KeyOf(r.Task.GetTask().GetTask().GetKey())
			return fmt.Sprintf("alarm or job %q of actor %q of type %q", key.Name, key.ID, key.Type)
		}
	}
	return ""
}
