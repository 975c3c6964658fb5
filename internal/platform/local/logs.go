package local

import (
	"bufio"
	"bytes"
	"cmp"
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

// LogLine is one line that an instance printed.
type LogLine struct {
	Version, Instance string
	Stream            string // stdout, stderr, or greenroom where the shim speaks
	Text              string
	At                time.Time
}

// Logs hands the lines of some versions' instances to w: first those of the past
// in the order of their time, the last tail of each version (all if tail is
// negative), then, if follow is set, those to come until ctx ends or the versions
// have gone. Lines longer than 64 KiB come in parts. It returns ctx's error, w's,
// or one that says that none of the versions is known.
func (p *Platform) Logs(ctx context.Context, versions []string, follow bool, tail int, w func(LogLine) error) error {
	readers := make(map[string]*logReader)
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	known, gone := p.logSources(versions, readers)
	if !known {
		return fmt.Errorf("logs: no version %s runs or ran here", strings.Join(versions, " or "))
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
		_, gone = p.logSources(versions, readers)
	}
}

// logSources adds a reader for each instance that has none yet. gone means that
// no line will follow.
func (p *Platform) logSources(versions []string, readers map[string]*logReader) (known, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone = true
	for _, version := range versions {
		v := p.versions[version]
		if v == nil {
			continue
		}
		known = true
		for _, i := range v.instances {
			if i.dir != "" && readers[i.id] == nil {
				readers[i.id] = &logReader{version: version, instance: i.id, path: filepath.Join(i.dir, logFile)}
			}
		}
		gone = gone && v.status().Gone
	}
	return known, gone
}

// past hands on every line that is there now, merged by time, or only the last
// tail of each version.
func past(ctx context.Context, readers map[string]*logReader, tail int, w func(LogLine) error) error {
	kept := tails{most: tail, lines: make(map[string][]numbered)}
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
		head := heads[first]
		line := LogLine{Version: first.version, Instance: first.instance, Stream: head.stream, Text: head.text, At: head.at}
		if next, ok := first.next(); ok {
			heads[first] = next
		} else {
			delete(heads, first)
		}
		if tail >= 0 {
			kept.add(line)
		} else if err := w(line); err != nil {
			return err
		}
	}
	for _, line := range kept.all() {
		if err := w(line); err != nil {
			return err
		}
	}
	return nil
}

// tails are the last lines of each version.
type tails struct {
	most  int
	count int // lines added
	lines map[string][]numbered
}

// numbered is a line with its place among all of them.
type numbered struct {
	n int
	LogLine
}

func (t *tails) add(line LogLine) {
	t.count++
	kept := append(t.lines[line.Version], numbered{t.count, line})
	if len(kept) > 2*t.most {
		kept = slices.Delete(kept, 0, len(kept)-t.most)
	}
	t.lines[line.Version] = kept
}

// all returns the last lines in the order in which they were added.
func (t *tails) all() []LogLine {
	var kept []numbered
	for _, lines := range t.lines {
		kept = append(kept, lines[max(0, len(lines)-t.most):]...)
	}
	slices.SortFunc(kept, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
	out := make([]LogLine, 0, len(kept))
	for _, one := range kept {
		out = append(out, one.LogLine)
	}
	return out
}

// logReader reads an instance's log from its oldest file on, and goes on with
// the next when the one that it reads has been rotated away.
type logReader struct {
	version  string
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
