package system

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/greenroom-dev/greenroom/client"
)

// register is what a greenroom looks like from outside: one value, which
// version serves, that promotions and rollbacks write and requests read.
var register = porcupine.Model{
	Init: func() any { return "v1" },
	Step: func(state, input, output any) (bool, any) {
		if write := input.(string); write != "" {
			return true, write
		}
		return output == state, state
	},
	DescribeOperation: func(input, output any) string {
		if write := input.(string); write != "" {
			return "switch to " + write
		}
		return "request → " + output.(string)
	},
}

// TestHistoriesAreLinearizable lets several people promote and roll back while
// others send requests, all at once: there is an order of it all that explains
// every answer.
func TestHistoriesAreLinearizable(t *testing.T) {
	t.Parallel()
	s := newSystem(t, path4).start()
	s.open("r1", three("v2"))
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	record := func(who int, input string, do func() (string, error)) {
		op := porcupine.Operation{ClientId: who, Input: input, Call: int64(time.Since(began))}
		output, err := do()
		op.Output, op.Return = output, int64(time.Since(began))
		if err != nil {
			t.Errorf("client %d, %s: %v", who, input, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, op)
	}
	var clients sync.WaitGroup
	for who := range 5 {
		clients.Go(func() {
			for n := range 40 {
				switch {
				case who > 1:
					record(who, "", func() (string, error) {
						got, err := s.try("GET", "/")
						if err == nil {
							err = anyWhole(got)
						}
						return path(got.body)["web"], err
					})
				case (who+n)%2 == 0:
					record(who, "v2", func() (string, error) {
						_, err := s.api.Promote(t.Context(), "r1", client.Promote{Asked: client.Asked{Reason: strconv.Itoa(n)}})
						return "", err
					})
				default:
					record(who, "v1", func() (string, error) {
						_, err := s.api.Rollback(t.Context(), "r1", client.Asked{})
						return "", err
					})
				}
			}
		})
	}
	clients.Wait()
	if len(history) != 200 {
		t.Fatalf("%d of 200 operations were answered", len(history))
	}
	switch result := porcupine.CheckOperationsTimeout(register, history, patience); result {
	case porcupine.Ok:
	default:
		t.Errorf("the history of %d operations is %s", len(history), strings.ToLower(string(result)))
	}
}
