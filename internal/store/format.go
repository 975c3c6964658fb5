package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/greenroom-dev/greenroom/internal/durable"
)

// The file's buckets.
const (
	bucketFormat  = "greenroom" // says that the file is ours, and its format
	bucketState   = "state"     // the record, but for what has a bucket of its own:
	bucketBulk    = "bulk"      // Record.Bulk
	bucketKept    = "kept"      // Record.Kept
	bucketEvents  = "events"    // big-endian sequence number → Event
	bucketRelease = "releases"  // release, zero byte, sequence number → nothing
	bucketPasses  = "passes"    // ID → Pass
	bucketTokens  = "tokens"    // hash of the secret → Token
	// id → end in seconds, sealed session; made with the first session, so that
	// no format had to change
	bucketSessions = "sessions"
)

// The keys of bucketFormat.
const (
	keyFormat  = "format"  // big-endian number, from 1
	keyVersion = "version" // greenroom's that first wrote this format
)

// migration turns one format into the next.
type migration func(*bbolt.Tx) error

// migrations are the steps to the present format: the first one turns format 1
// into 2. A renamed or reinterpreted field of what the store keeps, also within
// the controller's record, is a change of format.
func migrations() []migration { return []migration{apart} }

// apart gives what is written seldom a bucket of its own. bbolt writes a bucket's
// values again with each that changes, and Kept lay beside the state. What a
// later greenroom keeps as Bulk is part of the state in this record.
func apart(tx *bbolt.Tx) error {
	state := tx.Bucket([]byte(bucketState))
	kept, err := get(state, []byte(keyKept))
	if err != nil {
		return err
	}
	for _, name := range []string{bucketBulk, bucketKept} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
	}
	if kept == nil {
		return nil
	}
	if err := put(tx.Bucket([]byte(bucketKept)), []byte(keyWhole), kept); err != nil {
		return err
	}
	return state.Delete([]byte(keyKept))
}

// initialize makes an empty store of the present format.
func initialize(tx *bbolt.Tx, ms []migration) error {
	for _, name := range []string{bucketFormat, bucketState, bucketBulk, bucketKept, bucketEvents, bucketRelease, bucketPasses, bucketTokens} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
	}
	return putFormat(tx, uint64(len(ms))+1)
}

func putFormat(tx *bbolt.Tx, format uint64) error {
	b := tx.Bucket([]byte(bucketFormat))
	if err := put(b, []byte(keyFormat), binary.BigEndian.AppendUint64(nil, format)); err != nil {
		return fmt.Errorf("noting the format: %w", err)
	}
	if err := put(b, []byte(keyVersion), []byte(ownVersion())); err != nil {
		return fmt.Errorf("noting the version: %w", err)
	}
	return nil
}

// ownVersion is the version of the running greenroom.
func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

func readFormat(db *bbolt.DB) (format uint64, version string, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketFormat))
		number, err := get(b, []byte(keyFormat))
		if err != nil {
			return err
		}
		if len(number) != 8 || binary.BigEndian.Uint64(number) == 0 {
			return fmt.Errorf("%w: no format in it", ErrDamaged)
		}
		format = binary.BigEndian.Uint64(number)
		name, err := get(b, []byte(keyVersion))
		version = string(name)
		return err
	})
	return format, version, err
}

// migrate brings an open file to the present format in one transaction.
func migrate(db *bbolt.DB, ms []migration) error {
	format, version, err := readFormat(db)
	if err != nil {
		return err
	}
	present := uint64(len(ms)) + 1
	switch {
	case format == present:
		return nil
	case format > present:
		return fmt.Errorf("%w: greenroom %s, whose format is %d, and this is greenroom %s, which knows formats up to %d: start greenroom %s or a later one",
			ErrNewer, version, format, ownVersion(), present, version)
	}
	kept := fmt.Sprintf("%s.format-%d", db.Path(), format)
	if err := copyFile(db.Path(), kept); err != nil {
		return fmt.Errorf("keeping a copy of the store before its migration: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for i, step := range ms[format-1:] {
			if err := step(tx); err != nil {
				return fmt.Errorf("from format %d: %w", format+uint64(i), err)
			}
		}
		return putFormat(tx, present)
	})
	if err != nil {
		return fmt.Errorf("migrating the store (it is as before, a copy is %s): %w", kept, err)
	}
	return nil
}

// copyFile makes a durable copy that is there whole or not at all.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return durable.Replace(to, in)
}
