package disktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small disk.
type Disk struct {
	t      testing.TB
	filler string
}

// Mount mounts an empty disk of some bytes at a folder, which it makes, until
// the test ends.
func Mount(t testing.TB, folder string, bytes int) *Disk {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("greenroom-test", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes))
	if os.Getenv("CI") != "true" && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)) {
		t.Skipf("a disk of its own takes root: mount %s: %v", folder, err)
	}
	if err != nil {
		t.Fatalf("mount %s: %v", folder, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	return &Disk{t: t, filler: filepath.Join(folder, "filler")}
}

// Fill writes to the disk until nothing more fits.
func (d *Disk) Fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("fill the disk: %v", err)
	}
}

// Free takes out what Fill wrote.
func (d *Disk) Free() {
	d.t.Helper()
	if err := os.Remove(d.filler); err != nil {
		d.t.Fatal(err)
	}
}
