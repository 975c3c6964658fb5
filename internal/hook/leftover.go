package hook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/greenroom-dev/greenroom/internal/process"
)

// note is what is kept of a run while it runs, to find its processes again.
type note struct {
	ID     string           `json:"id"`
	Run    string           `json:"run"`             // value of envRun
	Leader process.Identity `json:"leader,omitzero"` // of the process group; zero: not known to have started
}

func newNote(id string) note { return note{ID: id, Run: rand.Text()} }

// path is where the note of a run is kept. IDs may hold anything.
func (r *Runner) path(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:16])+".json")
}

// write makes a note durable against the death of greenroom. After one of the
// machine there is no process to find.
func (r *Runner) write(n note) error {
	b, err := json.Marshal(n)
	if err == nil {
		err = os.MkdirAll(r.dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(r.path(n.ID)+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(r.path(n.ID)+".new", r.path(n.ID))
	}
	if err != nil {
		return fmt.Errorf("noting its process: %w", err)
	}
	return nil
}

func (r *Runner) remove(id string) {
	_ = os.Remove(r.path(id)) // what is left is looked for in vain once, and then removed
}

// EndLeftovers ends all hooks that a former greenroom left running, such as
// those of releases that need them no longer. Call it at start.
func (r *Runner) EndLeftovers(ctx context.Context) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for hooks left running: %w", err)
	}
	var failed []error
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			failed = append(failed, r.endNoted(ctx, filepath.Join(r.dir, e.Name())))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("ending hooks left running: %w", err)
	}
	return nil
}

func (r *Runner) endLeftover(ctx context.Context, id string) error {
	return r.endNoted(ctx, r.path(id))
}

// endNoted ends the processes of the run that is noted in a file, and removes
// it. A note that cannot be understood is left, and is an error.
func (r *Runner) endNoted(ctx context.Context, path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var n note
	if err := json.Unmarshal(b, &n); err != nil || n.Run == "" {
		return fmt.Errorf("%s is damaged; see whether the hook still runs, end it, and remove the file", path)
	}
	if err := r.endProcesses(ctx, n); err != nil {
		return fmt.Errorf("hook %s: %w", n.ID, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// endProcesses sends SIGTERM to every process of a run, SIGKILL after the
// grace, and returns when none is left.
func (r *Runner) endProcesses(ctx context.Context, n note) error {
	asked := make(map[int]bool)
	kill := time.Now().Add(r.grace)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		pids, err := processesOf(n)
		if err != nil || len(pids) == 0 {
			return err
		}
		late := time.Now().After(kill)
		for _, pid := range pids {
			switch {
			case late:
				_ = syscall.Kill(pid, syscall.SIGKILL) // fails only if it has ended
			case !asked[pid]:
				asked[pid] = true
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v still run: %w", pids, context.Cause(ctx))
		case <-poll.C:
		}
	}
}

// processesOf returns the processes of a run: those that carry its mark in
// their environment, where the system lets us see it, and the group of its
// leader if that is still the same process.
func processesOf(n note) ([]int, error) {
	marked, err := process.WithEnv(envRun + "=" + n.Run)
	if err != nil {
		return nil, err
	}
	var pids []int
	if n.Leader.Alive() {
		if pids, err = process.InGroup(n.Leader.PID); err != nil {
			return nil, err
		}
	}
	for _, id := range marked {
		if !slices.Contains(pids, id.PID) {
			pids = append(pids, id.PID)
		}
	}
	return pids, nil
}
