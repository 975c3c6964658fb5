package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/process"
)

// envRun marks the processes of one run, so that they are found again even if
// greenroom was killed before it could note their ID, or they left their group.
const envRun = "GREENROOM_HOOK_RUN"

// command runs a hook's command in a process group of its own.
func (r *Runner) command(ctx context.Context, h fleet.Hook, c Context, out *Output) error {
	if err := r.endLeftover(ctx, c.ID); err != nil {
		return fmt.Errorf("hook %s: ending what a former greenroom left running: %w", h.Name, err)
	}
	n := newNote(c.ID)
	cmd, err := prepare(h, c, n.Run)
	if err != nil {
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	if err := r.write(n); err != nil { // before the start: what is noted is looked for
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	defer r.remove(c.ID)
	if ctx.Err() != nil {
		return fmt.Errorf("hook %s: not started: %w", h.Name, context.Cause(ctx))
	}

	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(out, read) // ends with the last writer, or when read is closed below
	}()

	n.Leader, _ = process.Identify(cmd.Process.Pid) // fails where it has ended already
	noted := r.write(n)
	err = r.await(ctx, cmd)
	drain(copied, read)
	if err == nil && noted != nil {
		err = noted
	}
	if err != nil {
		return fmt.Errorf("hook %s: %w", h.Name, err)
	}
	return nil
}

// await returns how the command ended, after ending its whole group: on time
// with SIGTERM, then SIGKILL; what the command left behind with SIGKILL. The
// command is not reaped before, so its process ID cannot become another's.
func (r *Runner) await(ctx context.Context, cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		process.AwaitExit(pid)
	}()
	var early error
	select {
	case <-exited:
	case <-ctx.Done():
		early = fmt.Errorf("ended: %w", context.Cause(ctx))
		terminate(pid, exited, r.grace)
		<-exited
	}
	killGroup(pid)
	err := cmd.Wait()
	if early != nil {
		return early
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(exit.String()) // "exit status 3", "signal: killed"
	}
	return err
}

// prepare makes the command. A hook gets little from greenroom's own
// environment, like a service, so that what works here works elsewhere.
func prepare(h fleet.Hook, c Context, run string) (*exec.Cmd, error) {
	path := h.Run[0]
	if filepath.Base(path) == path {
		found, err := exec.LookPath(path)
		if err != nil {
			return nil, err
		}
		path = found
	}
	env := make(map[string]string)
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	maps.Copy(env, h.Env)
	maps.Copy(env, map[string]string{
		"GREENROOM_RELEASE":  c.Release,
		"GREENROOM_EDGE_URL": c.EdgeURL,
		"GREENROOM_PASS":     c.Pass,
		"GREENROOM_HOOK_ID":  c.ID,
		envRun:               run,
	})
	cmd := exec.Command(path, h.Run[1:]...)
	cmd.Args[0] = h.Run[0]
	cmd.Dir = h.Dir
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}
