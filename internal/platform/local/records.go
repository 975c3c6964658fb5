package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable"
	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/process"
)

// The files of a version's folder and, below it, of an instance's. Each has one
// writer: the platform writes versionFile, recordFile and stopFile, the shim
// runningFile and endedFile. Those of an instance carry the number of the start
// that they belong to, so that what an earlier start left behind means nothing.
// A greenroom reads what an earlier one and its shims wrote, and the other way
// round: fields may be added to these records, and none may come to mean
// something else.
const (
	versionFile = "version.json"
	recordFile  = "start.json"   // written before the shim is started
	runningFile = "running.json" // written once the service's process exists
	stopFile    = "stop.json"    // an order to the shim
	endedFile   = "exit.json"
	lockFile    = "lock" // held by the shim for as long as it lives
	logFile     = "log"
)

// versionRecord is what a later greenroom must know of a version to watch over
// its instances before Ensure names it again. It holds no environment: that
// comes with Ensure.
type versionRecord struct {
	Version   fleet.Version `json:"version"`
	Service   fleet.Service `json:"service"`
	ReadyOnce bool          `json:"readyOnce"`
	Stopped   bool          `json:"stopped"`
}

// startRecord is the decision to start an instance once more.
type startRecord struct {
	ID         string    `json:"id"`
	Slot       int       `json:"slot"`  // order of creation within the version
	Start      int       `json:"start"` // counts the starts of this instance from 1
	Restarts   int       `json:"restarts"`
	Argv       []string  `json:"argv"`
	Executable string    `json:"executable"`
	Dir        string    `json:"dir"`
	Port       int       `json:"port"`
	LogBytes   int64     `json:"logBytes"`
	LogKeep    int       `json:"logKeep"`
	At         time.Time `json:"at"`
}

type runningRecord struct {
	Start   int              `json:"start"`
	Shim    process.Identity `json:"shim"`
	Service process.Identity `json:"service"`
	At      time.Time        `json:"at"`
}

type endedRecord struct {
	Start int  `json:"start"`
	Exit  Exit `json:"exit"`
}

type stopOrder struct {
	Start int           `json:"start"`
	Drain time.Duration `json:"drain"` // from when the shim reads it to SIGKILL
}

// writeRecord replaces the file dir/name by v's JSON in one step, and returns
// when it is durable.
func writeRecord(dir, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return durable.Replace(filepath.Join(dir, name), bytes.NewReader(data))
}

// readRecord fills v from dir/name. ok is false where the file is missing.
func readRecord(dir, name string, v any) (ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err)
	}
	return true, nil
}

// readRunning returns the record of that start, if its process came to be.
func readRunning(dir string, start int) (runningRecord, bool) {
	var r runningRecord
	ok, err := readRecord(dir, runningFile, &r)
	return r, ok && err == nil && r.Start == start
}

// readEnded returns how that start ended, if its shim wrote it down.
func readEnded(dir string, start int) (Exit, bool) {
	var r endedRecord
	ok, err := readRecord(dir, endedFile, &r)
	return r.Exit, ok && err == nil && r.Start == start
}

// readStop returns the order to stop that start, if there is one.
func readStop(dir string, start int) (stopOrder, bool) {
	var r stopOrder
	ok, err := readRecord(dir, stopFile, &r)
	return r, ok && err == nil && r.Start == start
}
