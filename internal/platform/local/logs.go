package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// logLine is one line of an instance's log.
type logLine struct {
	at     time.Time
	stream string // stdout, stderr, or greenroom where the shim speaks
	text   string
}

// parseLogLine reads what rotatingLog writes, without the end of line.
func parseLogLine(b []byte) (logLine, bool) {
	if len(b) < len(stampLayout)+1 {
		return logLine{}, false
	}
	at, err := time.Parse(stampLayout, string(b[:len(stampLayout)]))
	if err != nil {
		return logLine{}, false
	}
	stream, rest, ok := bytes.Cut(b[len(stampLayout)+1:], []byte{' '})
	if !ok || len(rest) < 2 {
		return logLine{}, false
	}
	return logLine{at: at, stream: string(stream), text: string(rest[2:])}, true
}

// Logs hands the lines of the version's instances to w: first those of the past
// in the order of their time, the last tail of them (all if tail is negative),
// then, if follow is set, those to come until ctx ends or the version has gone.
// Lines longer than 64 KiB come in parts. It returns ctx's error, w's, or one
// that says that the version is unknown.
func (p *Platform) Logs(ctx context.Context, version string, follow bool, tail int, w func(instance, stream, line string, at time.Time) error) error {
	readers := make(map[string]*logReader)
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	known, gone := p.logSources(version, readers)
	if !known {
		return fmt.Errorf("logs: no version %s runs or ran here", version)
	}
	if err := past(ctx, readers, tail, w); err != nil {
		return err
	}
	if !follow {
		return nil
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := past(ctx, readers, -1, w); err != nil {
			return err
		}
		if gone {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		known, gone = p.logSources(version, readers)
		gone = gone || !known
	}
}

// logSources adds a reader for each instance that has none yet. gone means that
// no line will follow.
func (p *Platform) logSources(version string, readers map[string]*logReader) (known, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.versions[version]
	if v == nil {
		return false, true
	}
	for _, i := range v.instances {
		if i.dir != "" && readers[i.id] == nil {
			readers[i.id] = &logReader{instance: i.id, path: filepath.Join(i.dir, logFile)}
		}
	}
	return true, v.status().Gone
}

// past hands on every line that is there now, merged by time, or only the last
// tail of them.
func past(ctx context.Context, readers map[string]*logReader, tail int, w func(instance, stream, line string, at time.Time) error) error {
	type entry struct {
		logLine
		instance string
	}
	var kept []entry // the last lines, where only those are wanted
	heads := make(map[*logReader]logLine)
	for _, r := range readers {
		if line, ok := r.next(); ok {
			heads[r] = line
		}
	}
	for len(heads) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		var first *logReader
		for r, line := range heads {
			if first == nil || line.at.Before(heads[first].at) || line.at.Equal(heads[first].at) && r.instance < first.instance {
				first = r
			}
		}
		e := entry{heads[first], first.instance}
		if line, ok := first.next(); ok {
			heads[first] = line
		} else {
			delete(heads, first)
		}
		if tail < 0 {
			if err := w(e.instance, e.stream, e.text, e.at); err != nil {
				return err
			}
			continue
		}
		if kept = append(kept, e); len(kept) > 2*tail {
			kept = slices.Delete(kept, 0, len(kept)-tail)
		}
	}
	if tail >= 0 {
		kept = kept[max(0, len(kept)-tail):]
	}
	for _, e := range kept {
		if err := w(e.instance, e.stream, e.text, e.at); err != nil {
			return err
		}
	}
	return nil
}

// logReader reads an instance's log from its oldest file on, and goes on with
// the next when the one that it reads has been rotated away.
type logReader struct {
	instance string
	path     string
	file     *os.File
	buf      *bufio.Reader
	part     []byte // of a line whose end is not written yet
}

// next returns the next line; false where there is none now.
func (r *logReader) next() (logLine, bool) {
	for {
		if r.file == nil && !r.advance() {
			return logLine{}, false
		}
		b, err := r.buf.ReadSlice('\n')
		r.part = append(r.part, b...)
		switch {
		case err == nil:
			line, ok := parseLogLine(bytes.TrimSuffix(r.part, []byte{'\n'}))
			r.part = r.part[:0]
			if ok {
				return line, true
			}
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if !r.advance() {
				return logLine{}, false
			}
		default:
			return logLine{}, false
		}
	}
}

// advance opens the file that follows the present one, or the oldest; false
// where there is none, and then the present one stays.
func (r *logReader) advance() bool {
	var own os.FileInfo
	if r.file != nil {
		own, _ = r.file.Stat()
	}
	oldest := 0
	at := -1
	for n := 0; ; n++ {
		info, err := os.Stat(rotatedName(r.path, n))
		if err != nil {
			if n > 0 {
				break
			}
			continue // between two renames the newest is missing
		}
		oldest = n
		if own != nil && os.SameFile(own, info) {
			at = n
			break
		}
	}
	next := oldest
	if own != nil && at >= 0 {
		if at == 0 {
			return false
		}
		// Written to the end before it was rotated, yet perhaps after we read.
		if info, err := r.file.Stat(); err == nil && info.Size() > r.offset() {
			return true
		}
		next = at - 1
	}
	f, err := os.Open(rotatedName(r.path, next))
	if err != nil {
		return false
	}
	r.close()
	r.file, r.buf = f, bufio.NewReaderSize(f, 32<<10)
	return true
}

// offset is how much of the present file has been read.
func (r *logReader) offset() int64 {
	at, err := r.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return at - int64(r.buf.Buffered())
}

func (r *logReader) close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
	r.part = r.part[:0]
}

// tailOf returns the last lines of the log at path that were written since,
// without their stamps, at most so many lines and bytes. It reads the ends of
// the last two files alone.
func tailOf(path string, since time.Time, lines, size int) string {
	const enough = 64 << 10
	var kept []string
	for _, n := range []int{1, 0} {
		for b := range bytes.Lines(endOf(rotatedName(path, n), enough)) {
			line, ok := parseLogLine(bytes.TrimSuffix(b, []byte{'\n'}))
			if ok && !line.at.Before(since) {
				kept = append(kept, line.text)
			}
		}
	}
	text := strings.Join(kept[max(0, len(kept)-lines):], "\n")
	if len(text) > size {
		text = "…" + text[len(text)-size:]
	}
	return strings.ToValidUTF8(text, "�")
}

// endOf returns the last n bytes of a file, or as many as it has.
func endOf(path string, n int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
	return b
}
