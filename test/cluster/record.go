package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// record is what must be known to undo a cluster: it is written before the
// thing it speaks of is done. Processes have files of their own (process.go);
// the bridge, the cgroup and the iptables chains have fixed names.
type record struct {
	path string
	// Complete is true when every part was ready once.
	Complete bool `json:"complete"`
	// Settings are kernel settings, by path under /proc/sys, as they were.
	Settings map[string]string `json:"settings"`
	// Folders are those outside of the state folder that weren't there.
	Folders []string `json:"folders"`
}

func recordPath(state string) string { return filepath.Join(state, "record.json") }

func newRecord(state string) (*record, error) {
	r := &record{path: recordPath(state), Settings: map[string]string{}}
	for _, dir := range foreignFolders {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			r.Folders = append(r.Folders, dir)
		}
	}
	return r, r.save()
}

// foreignFolders are made by the parts of a cluster at paths that can't be
// changed.
var foreignFolders = []string{
	"/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods", "/opt/containerd", "/etc/cni", "/opt/cni",
	"/usr/libexec/kubernetes",
}

// readRecord returns an error that wraps fs.ErrNotExist when there is none.
func readRecord(state string) (*record, error) {
	r := &record{path: recordPath(state)}
	b, err := os.ReadFile(r.path)
	if err != nil {
		return nil, fmt.Errorf("reading what the cluster made: %w", err)
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.path, err)
	}
	return r, nil
}

func (r *record) save() error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".new", b, 0o600); err != nil {
		return fmt.Errorf("writing down what the cluster makes: %w", err)
	}
	return os.Rename(r.path+".new", r.path)
}

// stateFolder is the state folder that a caller means, without symbolic links
// in the folders above it, as the kernel names what is mounted below: the one
// given, or else the other, which may be empty.
func stateFolder(given, other string) (string, error) {
	if given == "" {
		given = other
	}
	if given == "" {
		return "", nil
	}
	abs, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("looking for the state folder: %w", err)
	}
	above, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", fmt.Errorf("looking for the folder of the state folder: %w", err)
	}
	return filepath.Join(above, filepath.Base(abs)), nil
}

// checkState refuses a state folder that holds anything but an earlier
// cluster's logs, since a teardown empties it.
func checkState(state string) error {
	entries, err := os.ReadDir(state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the state folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "logs" {
			return fmt.Errorf("the state folder %s holds %s, which is no former cluster's: name an empty folder", state, e.Name())
		}
	}
	return nil
}

// makeState makes the state folder and what every part expects in it.
func makeState(state string) error {
	if err := os.RemoveAll(filepath.Join(state, "logs")); err != nil {
		return fmt.Errorf("removing the former cluster's logs: %w", err)
	}
	for _, dir := range []string{"logs", "pids"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o755); err != nil {
			return fmt.Errorf("making the state folder: %w", err)
		}
	}
	return nil
}
