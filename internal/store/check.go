package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"os"
	"slices"
)

// The layout of a bbolt file, all numbers in the machine's byte order: pages of
// one size, each begun by a header. Pages 0 and 1 are metas; the one with the
// higher transaction names the root of a B+tree whose leaves hold the buckets,
// each with the root of its own tree, or with its only page inline.
const (
	boltMagic      = 0xED0CDAED
	boltNoFreeList = ^uint64(0)
	headerSize     = 16 // id 8, kind 2, count 2, further pages 4
	metaSize       = 64 // magic, version, page size, flags: 4 each; root, sequence, free list, end, transaction, checksum: 8 each
	elementSize    = 16 // branch: offset 4, key size 4, page 8; leaf: kind, offset, key size, value size: 4 each
	bucketSize     = 16 // root 8, sequence 8
	kindBranch     = 0x01
	kindLeaf       = 0x02
	kindMeta       = 0x04
)

// check reads the whole of a locked file and returns ErrDamaged or ErrForeign
// unless both metas are right, every page of every tree is where and what it
// should be, keys are in order, and values fit their checksums. Both metas have
// to be right since bbolt would fall back from a damaged one to the state
// before, silently: a promotion that was reported durable would be undone.
func check(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return damage("the file is empty; put back a copy, or remove it to begin anew")
	}
	m, err := checkMetas(f, info.Size())
	if err != nil {
		return err
	}
	c := &checker{file: f, meta: m, seen: make(map[uint64]bool)}
	var root []element
	err = c.bucket(m.root, nil, func(e element) error {
		root = append(root, e)
		return nil
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(root, func(e element) bool { return e.bucket && string(e.key) == bucketFormat }) {
		return fmt.Errorf("%w but a bbolt file of another program", ErrForeign)
	}
	if m.freeList != boltNoFreeList {
		return damage("another program has written to it")
	}
	for _, e := range root {
		if err := c.values(e); err != nil {
			return fmt.Errorf("bucket %q: %w", e.key, err)
		}
	}
	return nil
}

func damage(format string, args ...any) error {
	return fmt.Errorf("%w: %s (put back a copy of the file, or move it away to begin anew)", ErrDamaged, fmt.Sprintf(format, args...))
}

// meta is what a meta page says.
type meta struct {
	pageSize                         int64
	root, freeList, end, transaction uint64
}

func checkMetas(f *os.File, size int64) (meta, error) {
	first, err := readMeta(f, 0, 0)
	if errors.Is(err, ErrForeign) {
		// A store whose beginning was overwritten still has its second meta.
		if _, second := readMeta(f, int64(os.Getpagesize()), 1); !errors.Is(second, ErrForeign) {
			return meta{}, damage("its first page was overwritten")
		}
	}
	if err != nil {
		return meta{}, err
	}
	second, err := readMeta(f, first.pageSize, 1)
	if errors.Is(err, ErrForeign) {
		return meta{}, damage("its second page was cut or overwritten")
	}
	if err != nil {
		return meta{}, err
	}
	if second.pageSize != first.pageSize {
		return meta{}, damage("its meta pages contradict each other")
	}
	m := first
	if second.transaction > first.transaction {
		m = second
	}
	if m.end > uint64(size/m.pageSize) {
		return meta{}, damage("it was truncated to %d bytes and should have at least %d", size, m.end*uint64(m.pageSize))
	}
	return m, nil
}

// readMeta returns ErrForeign where no meta page begins.
func readMeta(f *os.File, offset int64, id uint64) (meta, error) {
	page := make([]byte, headerSize+metaSize)
	if _, err := f.ReadAt(page, offset); errors.Is(err, io.EOF) {
		return meta{}, ErrForeign
	} else if err != nil {
		return meta{}, err
	}
	header, b := page[:headerSize], page[headerSize:]
	u32 := func(i int) uint32 { return binary.NativeEndian.Uint32(b[i:]) }
	u64 := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i:]) }
	if u32(0) != boltMagic {
		return meta{}, ErrForeign
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	if sum.Sum64() != u64(56) {
		return meta{}, damage("meta page %d does not fit its checksum", id)
	}
	if u32(4) != 2 || binary.NativeEndian.Uint64(header) != id || binary.NativeEndian.Uint16(header[8:]) != kindMeta {
		return meta{}, damage("meta page %d is not of the form we know", id)
	}
	m := meta{pageSize: int64(u32(8)), root: u64(16), freeList: u64(32), end: u64(40), transaction: u64(48)}
	if bits.OnesCount64(uint64(m.pageSize)) != 1 || m.pageSize < 1<<10 || m.pageSize > 1<<24 {
		return meta{}, damage("meta page %d names a page size of %d", id, m.pageSize)
	}
	return m, nil
}

// checker walks the trees of a file.
type checker struct {
	file *os.File
	meta meta
	seen map[uint64]bool // pages visited; none belongs to two places
}

// element is an entry of a leaf: a value or a bucket.
type element struct {
	key, value []byte
	bucket     bool
}

// values checks the checksums of all values in a bucket of the root.
func (c *checker) values(e element) error {
	if !e.bucket || len(e.value) < bucketSize {
		return damage("it is not a bucket")
	}
	return c.bucket(binary.NativeEndian.Uint64(e.value), e.value[bucketSize:], func(v element) error {
		if v.bucket {
			return damage("it holds another bucket")
		}
		_, err := unseal(v.key, v.value)
		return err
	})
}

// bucket visits the elements of a bucket, whose only page stands inline when
// root is 0.
func (c *checker) bucket(root uint64, inline []byte, visit func(element) error) error {
	if root != 0 {
		return c.tree(root, nil, nil, visit)
	}
	if len(inline) < headerSize || binary.NativeEndian.Uint16(inline[8:]) != kindLeaf {
		return damage("an inline page is not a leaf")
	}
	return leaf(inline, nil, nil, visit)
}

// tree visits the elements below a page, whose keys must be in [low, high); a
// nil bound is none.
func (c *checker) tree(id uint64, low, high []byte, visit func(element) error) error {
	page, err := c.page(id)
	if err != nil {
		return err
	}
	switch binary.NativeEndian.Uint16(page[8:]) {
	case kindLeaf:
		if err := leaf(page, low, high, visit); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		return nil
	case kindBranch:
	default:
		return damage("page %d is neither branch nor leaf", id)
	}
	keys, children, err := branch(page)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, key := range keys {
		next := high
		if i+1 < len(keys) {
			next = keys[i+1]
		}
		if !inOrder(key, low, next) {
			return damage("page %d: key %d is out of order", id, i)
		}
		if err := c.tree(children[i], key, next, visit); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(key, low, high []byte) bool {
	return bytes.Compare(key, low) >= 0 && (high == nil || bytes.Compare(key, high) < 0)
}

// page reads a page with those that continue it.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.meta.end {
		return nil, damage("page %d is outside of the file", id)
	}
	header := make([]byte, headerSize)
	if _, err := c.file.ReadAt(header, int64(id)*c.meta.pageSize); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	further := uint64(binary.NativeEndian.Uint32(header[12:]))
	if binary.NativeEndian.Uint64(header) != id || further >= c.meta.end-id {
		return nil, damage("page %d is not where it belongs", id)
	}
	for i := id; i <= id+further; i++ {
		if c.seen[i] {
			return nil, damage("page %d is used twice", i)
		}
		c.seen[i] = true
	}
	page := make([]byte, (further+1)*uint64(c.meta.pageSize))
	if _, err := c.file.ReadAt(page, int64(id)*c.meta.pageSize); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return page, nil
}

// branch returns the keys and the pages that a branch page points at.
func branch(page []byte) (keys [][]byte, children []uint64, err error) {
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if count == 0 {
		return nil, nil, damage("a branch without children")
	}
	for i := range count {
		e, rest, err := entry(page, i)
		if err != nil {
			return nil, nil, err
		}
		key, _, ok := cut(rest, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), 0)
		if !ok {
			return nil, nil, damage("key %d is outside of the page", i)
		}
		keys = append(keys, key)
		children = append(children, binary.NativeEndian.Uint64(e[8:]))
	}
	return keys, children, nil
}

// leaf visits the elements of a leaf page, whose keys must ascend in
// [low, high).
func leaf(page, low, high []byte, visit func(element) error) error {
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		e, rest, err := entry(page, i)
		if err != nil {
			return err
		}
		kind := binary.NativeEndian.Uint32(e)
		key, value, ok := cut(rest, binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:]))
		if !ok || kind > 1 {
			return damage("element %d is outside of the page", i)
		}
		if !inOrder(key, low, high) || i > 0 && bytes.Equal(key, low) {
			return damage("key %d is out of order", i)
		}
		low = key
		if err := visit(element{key: key, value: value, bucket: kind == 1}); err != nil {
			return err
		}
	}
	return nil
}

// entry returns the i-th fixed-size entry of a page, and the page from it on:
// that is where its offset counts from.
func entry(page []byte, i int) (entry, rest []byte, err error) {
	start := headerSize + i*elementSize
	if start+elementSize > len(page) {
		return nil, nil, damage("entry %d is outside of the page", i)
	}
	return page[start : start+elementSize], page[start:], nil
}

// cut returns the key and value that stand one after the other in b.
func cut(b []byte, offset, keySize, valueSize uint32) (key, value []byte, ok bool) {
	start, split, end := uint64(offset), uint64(offset)+uint64(keySize), uint64(offset)+uint64(keySize)+uint64(valueSize)
	if end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[start:split], b[split:end], true
}
