package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v3"

	"github.com/francis-actors/francis/runtime/backup"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/serve"
	"github.com/francis-actors/francis/runtime/store"
)

func (a *app) restore() *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "fill the store with a backup",
		Description: `The runtimes and the workers of the store must be stopped, and it must be empty, unless
-replace lets what it holds be dropped. A file is checked as a whole before anything is
touched; what comes through a pipe is checked on its way. A store that did not get all of
a backup serves nobody until it does. The cluster begins a new generation: workers that
knew it before join again by themselves.

Examples:
   runtime restore -config config.yaml -f today.backup
   runtime backup -config old.yaml -f - | runtime restore -config new.yaml -f -`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "f", Usage: "read from `FILE`, or from the standard input if it is -"},
			&cli.BoolFlag{Name: "replace", Usage: "drop what the store holds"},
		},
		Action: a.runRestore,
	}
}

func (a *app) runRestore(ctx context.Context, cmd *cli.Command) error {
	from, replace := cmd.String("f"), cmd.Bool("replace")
	switch {
	case from == "":
		return &usageError{cmd.FullName(), "say where the backup is with -f FILE, or with -f - in a pipe"}
	case from == pipe && replace:
		return &usageError{cmd.FullName(), "-replace needs a file, which is checked before the store is emptied; write what the pipe brings to a file first"}
	case from == pipe && isTerminal(os.Stdin):
		return &usageError{cmd.FullName(), "nobody types a backup; name a file with -f FILE, or lead one into the command"}
	}
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	stop, release := untilInterrupted(ctx)
	defer release()
	var done restored
	if from == pipe {
		done, err = a.restoreFrom(stop, cfg, interruptible(stop, os.Stdin), store.Restoration{})
	} else {
		done, err = a.restoreFile(stop, cfg, from, store.Restoration{Replace: replace})
	}
	switch {
	case errors.Is(err, store.ErrNotEmpty):
		return fmt.Errorf("%w; name another one in provider.connectionString, or drop what is in it with -replace", err)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "Restored %s. The cluster is in generation %d; start the runtime.\n", describe(done.tally), done.cluster.Generation)
	return err
}

// restored is what a restoration has come to.
type restored struct {
	cluster store.Cluster
	tally   backup.Tally
}

// restoreFile checks a file and restores it then.
func (a *app) restoreFile(ctx context.Context, cfg *config.Config, path string, how store.Restoration) (restored, error) {
	file, err := os.Open(path)
	if err != nil {
		return restored{}, err
	}
	defer file.Close()
	progress := newProgress(a.stderr, "checking")
	_, err = backup.Verify(interruptible(ctx, file), progress.see)
	progress.clear()
	if err != nil {
		return restored{}, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return restored{}, err
	}
	return a.restoreFrom(ctx, cfg, file, how)
}

func (a *app) restoreFrom(ctx context.Context, cfg *config.Config, from io.Reader, how store.Restoration) (done restored, err error) {
	progress := newProgress(a.stderr, "restoring")
	defer progress.clear()
	how.Backup = progress.reported(backup.Read(from, func(t backup.Tally) {
		done.tally = t
		progress.see(t)
	}))
	done.cluster, err = serve.Restore(ctx, cfg, newLogger(cfg.Log, a.stderr), how)
	return done, err
}

// interruptible reads until a context ends, also while nothing comes.
func interruptible(ctx context.Context, from io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, from)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(errors.New("interrupted")) })
	return r
}
