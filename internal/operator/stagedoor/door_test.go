package stagedoor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/internal/stage"
	"github.com/greenroom-dev/greenroom/propagate"
)

var live = types.NamespacedName{Namespace: "shop", Name: "live"}

// world is one fleet whose service chat has two versions.
type world struct{ keeper *stage.Keeper }

func (w world) Fleet(name types.NamespacedName) (Fleet, bool) { return w, name == live }
func (w world) Stage() *stage.Keeper                          { return w.keeper }
func (w world) Version(service, hash string) (string, bool) {
	id, ok := map[string]string{"aaa": "chat@1", "bbb": "chat@2"}[hash]
	return id, ok && service == "chat"
}

func newWorld(t *testing.T) (world, *Door) {
	t.Helper()
	w := world{keeper: stage.New(time.Second, time.Time{})}
	if err := w.keeper.Switch(7, "r42", map[string]string{"chat": "chat@1"}); err != nil {
		t.Fatal(err)
	}
	return w, New(w, time.Now)
}

func TestAnswers(t *testing.T) {
	_, door := newWorld(t)
	server := httptest.NewServer(door)
	defer server.Close()
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"POST", "/stage/shop/live/chat/aaa/stage", 200, `"onStage":true,"epoch":7`},
		{"POST", "/stage/shop/live/chat/bbb/stage", 200, `"onStage":false,"epoch":7,"retryAfterSeconds":1,"release":"r42","reason":"chat@1 serves, from r42"`},
		{"POST", "/stage/shop/live/chat/ccc/stage", 200, `"onStage":false,"epoch":7,"retryAfterSeconds":1,"release":"r42","reason":"chat@1 serves, from r42"`},
		{"POST", "/stage/shop/live/mail/aaa/stage", 200, `"onStage":false`},
		{"GET", "/stage/shop/live/chat/aaa", 200, `{"service":"chat","version":"chat@1","onStage":true,"epoch":7}`},
		{"GET", "/stage/shop/live/chat/aaa/", 200, `"onStage":true`},
		{"GET", "/stage/shop/live/chat/bbb", 200, `"onStage":false`},
		{"POST", "/stage/shop/other/chat/aaa/stage", 503, "not looked after"},
		{"POST", "/stage/shop/live/chat", 404, "/stage/NAMESPACE/FLEET/SERVICE/HASH"},
		{"POST", "/stage/shop/live//aaa/stage", 404, "GREENROOM_STATUS_URL"},
		{"POST", "/stage/shop/live/chat/" + strings.Repeat("a", 64) + "/stage", 404, ""},
		{"GET", "/stage/shop/live/chat/aaa/other", 404, ""},
	} {
		req, err := http.NewRequest(c.method, server.URL+c.path, strings.NewReader(`{"instance":"i"}`))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s: %d %s (%v)", c.method, c.path, res.StatusCode, body, err)
		}
	}
	for version, want := range map[string]bool{"chat@1": true, "chat@2": true, "chat@ccc": false} {
		if _, asked := door.Asked(live, version); asked != want {
			t.Errorf("%s has asked: %t, want %t", version, asked, want)
		}
	}
	if _, asked := door.Asked(types.NamespacedName{Namespace: "shop", Name: "other"}, "chat@1"); asked {
		t.Error("a version of another fleet has asked")
	}
	door.Keep(live, map[string]bool{"chat@2": true})
	if _, asked := door.Asked(live, "chat@1"); asked {
		t.Error("a version that is gone is remembered")
	}
	if _, asked := door.Asked(live, "chat@2"); !asked {
		t.Error("a version that is there is forgotten")
	}
}

// To look is not to ask: whoever only reads the address does not obey it.
func TestLookingIsNotAsking(t *testing.T) {
	_, door := newWorld(t)
	door.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/stage/shop/live/chat/aaa", nil))
	if _, asked := door.Asked(live, "chat@1"); asked {
		t.Error("a look counts as a question")
	}
}

// What services link works at this door as at the embedded engine's.
func TestPropagateMovesWithTheSwitch(t *testing.T) {
	w, door := newWorld(t)
	server := httptest.NewServer(door)
	defer server.Close()
	onStage := func(hash string) (*propagate.Stage, error) {
		return propagate.OnStage(t.Context(), propagate.WithEnviron([]string{
			"GREENROOM_STATUS_URL=" + server.URL + "/stage/shop/live/chat/" + hash, "GREENROOM_INSTANCE=chat-" + hash,
		}))
	}
	former, err := onStage("aaa")
	if err != nil {
		t.Fatal(err)
	}
	if former.Epoch() != 7 || former.Release() != "r42" {
		t.Errorf("on stage by epoch %d of %s", former.Epoch(), former.Release())
	}
	next := make(chan *propagate.Stage, 1)
	go func() {
		stage, err := onStage("bbb")
		if err != nil {
			t.Error(err)
		}
		next <- stage
	}()
	if err := w.keeper.Switch(8, "r43", map[string]string{"chat": "chat@2"}); err != nil {
		t.Fatal(err)
	}
	<-former.Context().Done() // told with its next renewal
	select {
	case <-next:
		t.Error("the next version is on stage before the former has left")
	default:
	}
	if err := former.Leave(); err != nil {
		t.Fatal(err)
	}
	if stage := <-next; stage == nil || stage.Epoch() != 8 {
		t.Errorf("the next version is on stage by %v", stage)
	} else if err := stage.Leave(); err != nil {
		t.Error(err)
	}
}
