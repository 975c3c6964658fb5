package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

// sealSize is how much longer a value is in the file, in bytes.
const sealSize = 4

// seal puts a checksum of key and value before the value. bbolt has checksums
// of its two meta pages alone.
func seal(key, value []byte) []byte {
	sealed := make([]byte, sealSize, sealSize+len(value))
	binary.BigEndian.PutUint32(sealed, checksum(key, value))
	return append(sealed, value...)
}

// unseal returns the value that was sealed. It is part of sealed.
func unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < sealSize || binary.BigEndian.Uint32(sealed) != checksum(key, sealed[sealSize:]) {
		return nil, fmt.Errorf("%w: the value of %q does not fit its checksum", ErrDamaged, key)
	}
	return sealed[sealSize:], nil
}

func checksum(key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the package
	return crc32.Update(crc32.Checksum(key, table), table, value)
}

func put(b *bbolt.Bucket, key, value []byte) error {
	return b.Put(key, seal(key, value))
}

// get returns the value of a key, valid within the transaction; nil where
// there is none.
func get(b *bbolt.Bucket, key []byte) ([]byte, error) {
	sealed := b.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal(key, sealed)
}
