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
func seal(key []byte, value ...[]byte) []byte {
	size := sealSize
	for _, part := range value {
		size += len(part)
	}
	sealed := make([]byte, sealSize, size)
	for _, part := range value {
		sealed = append(sealed, part...)
	}
	binary.BigEndian.PutUint32(sealed, checksum(key, sealed[sealSize:]))
	return sealed
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

// put stores a value, given in one or several parts.
func put(b *bbolt.Bucket, key []byte, value ...[]byte) error {
	return b.Put(key, seal(key, value...))
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
