package hold_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/greenroom-dev/greenroom/internal/gateway/hold"
)

func endless(int64) bool { return true }

func TestBodyIsKeptAndGivenBack(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	for _, length := range []int64{-1, int64(len(text))} {
		synctest.Test(t, func(t *testing.T) {
			from, to := io.Pipe()
			b := hold.Keep(from, length, endless)
			io.WriteString(to, text[:30000]) // returns when it is kept
			b.Go()
			go func() {
				io.WriteString(to, text[30000:])
				to.Close()
			}()
			got, err := io.ReadAll(b)
			if err != nil || string(got) != text {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			b.Stop(func() { t.Error("nobody reads") })
		})
	}
}

func TestBodyAsksForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		var asked int64
		b := hold.Keep(from, -1, func(n int64) bool { asked += n; return asked <= 16<<10 })
		go func() { io.Copy(to, strings.NewReader(strings.Repeat("x", 1<<20))) }()
		synctest.Wait()
		if asked > 24<<10 {
			t.Errorf("%d bytes were asked for after a no", asked)
		}
		b.Stop(func() { t.Error("nobody reads") })
		from.Close()
	})
}

// Stop waits for a read that is under way, and wakes it.
func TestBodyStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		b := hold.Keep(from, -1, endless)
		broken := errors.New("woken")
		b.Stop(func() { to.CloseWithError(broken) })
		if _, err := io.ReadAll(b); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}
