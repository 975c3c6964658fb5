//go:build !unix

package forward

// ask needs nothing here.
type ask struct{}

func (ask) begin(*Lane) {}

// Ask writes out, and reads the beginning of what comes back into in. The
// deadline for reading must be set.
func (l *Lane) Ask(out, in []byte) (wrote, n int, err error) {
	if wrote, err = l.Write(out); err == nil {
		n, err = l.Read(in)
	}
	return wrote, n, err
}
