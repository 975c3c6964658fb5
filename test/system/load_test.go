package system

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// load asks the edge over and over until it is stopped.
type load struct {
	s       *system
	stopped atomic.Bool
	workers sync.WaitGroup
	judge   func(answer) error // of every answer with status 200

	lenient atomic.Bool // greenroom is being killed: requests may fail

	mu       sync.Mutex
	answered []string // ids of requests that were answered
	failures []string
}

// startLoad begins load by a few clients at once. judge says what is wrong with
// an answer.
func startLoad(s *system, clients int, judge func(answer) error) *load {
	l := &load{s: s, judge: judge}
	for c := range clients {
		l.workers.Go(func() {
			for n := 0; !l.stopped.Load(); n++ {
				l.ask(fmt.Sprintf("%d-%d", c, n))
			}
		})
	}
	return l
}

func (l *load) ask(id string) {
	method := http.MethodGet
	if id[len(id)-1]%2 == 0 {
		method = http.MethodPost
	}
	lenient := l.lenient.Load()
	got, err := l.s.try(method, "/?id="+id)
	lenient = lenient || l.lenient.Load()
	switch {
	case err == nil && got.status == http.StatusOK:
		err = l.judge(got)
	case lenient:
		return
	case err == nil:
		err = fmt.Errorf("status %d: %s", got.status, got.body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failures = append(l.failures, method+" "+id+": "+err.Error())
		return
	}
	l.answered = append(l.answered, id)
}

// count is how many requests were answered so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// end stops the load and asserts that nothing was wrong.
func (l *load) end() {
	t := l.s.t
	t.Helper()
	l.stopped.Store(true)
	l.workers.Wait()
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests went wrong; the first: %v", len(l.failures), len(l.failures)+len(l.answered), l.failures[:min(5, len(l.failures))])
	}
	if len(l.answered) == 0 {
		t.Error("no request was answered")
	}
}

// more waits until that many further requests were answered.
func (l *load) more(n int) {
	l.s.t.Helper()
	want := l.count() + n
	l.s.eventually(strconv.Itoa(n)+" more requests are answered", func() error {
		if got := l.count(); got < want {
			return fmt.Errorf("%d are missing", want-got)
		}
		return nil
	})
}

// anyWhole accepts the answers of one view, whichever it is.
func anyWhole(a answer) error {
	met := path(a.body)
	if met["web"] == "" || met["web"] != met["gift"] || met["web"] != met["wallet"] || met["api"] != "v1" {
		return fmt.Errorf("mixed: %q", a.body)
	}
	return nil
}

func TestAnyWholeTellsMixedAnswers(t *testing.T) {
	for body, ok := range map[string]bool{whole("v1"): true, whole("v7"): true,
		"web=v2 api=v1 gift=v1 wallet=v1": false, "web=v2 api=v1 gift=v2 wallet=v1": false, "web=v1 api=v1": false, "": false} {
		if err := anyWhole(answer{body: body}); (err == nil) != ok {
			t.Errorf("%q: %v", body, err)
		}
	}
}
