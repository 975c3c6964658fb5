package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/examples/live/internal/livetest"
	"github.com/greenroom-dev/greenroom/examples/live/internal/queue"
)

// stage answers who is on stage as greenroom does.
type stage struct {
	mu    sync.Mutex
	epoch map[string]uint64 // by instance; absent: off stage
}

func (s *stage) set(epoch map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = epoch
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct{ Instance string }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	epoch, on := s.epoch[q.Instance]
	s.mu.Unlock()
	fmt.Fprintf(w, `{"onStage":%v,"epoch":%d,"leaseSeconds":0.06,"retryAfterSeconds":0.01,"reason":"test"}`, on, epoch)
}

type payout struct {
	Gift, Version string
	Epoch         uint64
}

// ledger reads a journal's lines.
func ledger(t *testing.T, data, name string) []payout {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(data, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []payout
	for line := range strings.Lines(string(raw)) {
		var p payout
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &p) == nil {
			all = append(all, p)
		}
	}
	return all
}

// eventually waits for a condition of other processes and sockets.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func put(t *testing.T, data string, from, to int) {
	t.Helper()
	q, err := queue.Open(filepath.Join(data, "queue"))
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		if err := q.Put(queue.Payout{Gift: fmt.Sprint("gift-", i), To: "mika", Coins: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

// once fails the test unless each of n gifts was paid exactly once, no epoch
// follows a later one, and each epoch belongs to one version.
func once(t *testing.T, all []payout, n int) {
	t.Helper()
	paid, of := map[string]int{}, map[uint64]string{}
	var last uint64
	for _, p := range all {
		if paid[p.Gift]++; paid[p.Gift] > 1 {
			t.Errorf("%s was paid twice", p.Gift)
		}
		if p.Epoch < last {
			t.Errorf("%s was paid in epoch %d, after epoch %d", p.Gift, p.Epoch, last)
		}
		if v := of[p.Epoch]; v != "" && v != p.Version {
			t.Errorf("epoch %d saw %s and %s", p.Epoch, v, p.Version)
		}
		last, of[p.Epoch] = p.Epoch, p.Version
	}
	if len(paid) != n {
		t.Errorf("%d of %d gifts were paid", len(paid), n)
	}
}

func TestWorkerPaysOnStageOnly(t *testing.T) {
	var s stage
	status := httptest.NewServer(&s)
	defer status.Close()
	data := t.TempDir()
	v1, v2 := livetest.New(t, data), livetest.New(t, data)
	v1.Run("worker", "v1", map[string]string{"GREENROOM_STATUS_URL": status.URL, "GREENROOM_INSTANCE": "one"})
	v2.Run("worker", "v2", map[string]string{"GREENROOM_STATUS_URL": status.URL, "GREENROOM_INSTANCE": "two"})
	put(t, data, 0, 50)

	count := func(n int) func() bool {
		return func() bool { return len(ledger(t, data, "payouts.jsonl")) == n }
	}
	for round := range 6 {
		s.set(map[string]uint64{[]string{"one", "two"}[round%2]: uint64(round + 1)})
		eventually(t, "the gifts of a round are paid", count(50*(round+1)))
		s.set(nil)
		put(t, data, 50*(round+1), 50*(round+2))
	}
	all := ledger(t, data, "payouts.jsonl")
	once(t, all, 300)
	for i, p := range all {
		if want := []string{"v1", "v2"}[i/50%2]; p.Version != want {
			t.Fatalf("payout %d was made by %s, who was off stage", i, p.Version)
		}
	}
}

// A worker that believes to be on stage, in an epoch that is over, pays nothing
// once its successor has.
func TestWorkerIsFencedOff(t *testing.T) {
	var s stage
	status := httptest.NewServer(&s)
	defer status.Close()
	data := t.TempDir()
	v1, v2 := livetest.New(t, data), livetest.New(t, data)
	s.set(map[string]uint64{"one": 1})
	v1.Run("worker", "v1", map[string]string{"GREENROOM_STATUS_URL": status.URL, "GREENROOM_INSTANCE": "one"})
	put(t, data, 0, 10)
	eventually(t, "v1 pays", func() bool { return len(ledger(t, data, "payouts.jsonl")) == 10 })

	s.set(map[string]uint64{"one": 1, "two": 2})
	put(t, data, 10, 400)
	v2.Run("worker", "v2", map[string]string{"GREENROOM_STATUS_URL": status.URL, "GREENROOM_INSTANCE": "two"})
	put(t, data, 400, 800)
	eventually(t, "all is paid", func() bool { return len(ledger(t, data, "payouts.jsonl")) == 800 })
	put(t, data, 800, 1000)
	eventually(t, "the rest is paid", func() bool { return len(ledger(t, data, "payouts.jsonl")) == 1000 })
	once(t, ledger(t, data, "payouts.jsonl"), 1000)
}

func TestWorkerKilledAnywherePaysOnce(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "live")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/live").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	data := t.TempDir()
	const gifts = 3000
	put(t, data, 0, gifts)
	for kills := 0; ; kills++ {
		cmd := exec.Command(bin, "worker", "--version", "v1")
		cmd.Env = []string{"PORT=0", "LIVE_DATA=" + data}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := len(ledger(t, data, "payouts.jsonl"))
		eventually(t, "payouts go on", func() bool {
			n := len(ledger(t, data, "payouts.jsonl"))
			return n == gifts || n >= before+100
		})
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if len(ledger(t, data, "payouts.jsonl")) == gifts {
			if kills == 0 {
				t.Fatal("the worker was never killed in the middle")
			}
			break
		}
	}
	once(t, ledger(t, data, "payouts.jsonl"), gifts)
}
