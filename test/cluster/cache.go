package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrNotAtHand is returned when binaries have not been made on this machine
// yet and were not to be made now. FindAssets with build makes them.
var ErrNotAtHand = errors.New("the binaries aren't at hand")

// cache is the folder, one for each user, where binaries are kept.
type cache struct {
	dir   string
	build bool // make what is missing; the lock is held then
	log   *progress
	lock  *os.File
}

// openCache returns the cache. To build into it, it waits for its lock: what
// one process builds, another waits for.
func openCache(ctx context.Context, build bool, log *progress) (*cache, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("looking for a folder to keep binaries in: %w", err)
	}
	c := &cache{dir: filepath.Join(user, "greenroom-cluster"), build: build, log: log}
	if !build {
		return c, nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder to keep binaries in: %w", err)
	}
	said := false
	err = await(ctx, "the end of another process that fills "+c.dir, time.Hour, func(context.Context) error {
		c.lock, err = lockedFile(filepath.Join(c.dir, ".lock"))
		if err != nil && !said {
			said = true
			log.printf("waiting for another process that fills %s", c.dir)
		}
		return err
	})
	return c, err
}

func (c *cache) close() {
	if c.lock != nil {
		c.lock.Close()
	}
}

// folder returns a folder that is there only when it is complete: where it is
// missing, it is made beside and renamed, or ErrNotAtHand is returned.
func (c *cache) folder(name string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(c.dir, name)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if !c.build {
		return "", fmt.Errorf("%w: there is no %s", ErrNotAtHand, folder)
	}
	part := folder + ".part"
	if err := os.RemoveAll(part); err != nil { // of a process that was killed
		return "", err
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if err := fill(part); err != nil {
		return "", err
	}
	return folder, os.Rename(part, folder)
}
