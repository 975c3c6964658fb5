package hop

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serve starts a service and returns its host and port.
func serve(t *testing.T, s Service) string {
	t.Helper()
	handler, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestAServicePassesOnWhatItsKindDoes(t *testing.T) {
	const stamp, baggage = "r42", "user=7,greenroom.release=r42"
	for passing, want := range map[Passing]map[string]string{
		Header:   {"X-Greenroom-Release": stamp, "Baggage": baggage},
		Baggage:  {"Baggage": baggage},
		Nothing:  {},
		Verbatim: {"X-Greenroom-Release": stamp, "Baggage": baggage},
	} {
		gift := serve(t, Service{Name: "gift", Version: "v2", Passing: Nothing})
		chat := serve(t, Service{Name: "chat", Version: "v1", Passing: passing, Next: []string{gift}})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+chat+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Greenroom-Release", stamp)
		req.Header.Set("Baggage", baggage)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var a Answer
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		if a.String() != "chat=v1 gift=v2" {
			t.Fatalf("%s: %s", passing, a)
		}
		for _, name := range []string{"X-Greenroom-Release", "Baggage"} {
			got := a.Calls[0].Got[name]
			if (got == "") != (want[name] == "") {
				t.Errorf("%s: gift got %s %q, want %q", passing, name, got, want[name])
			}
		}
		if got := a.Calls[0].Got["X-Greenroom-Release"]; got != want["X-Greenroom-Release"] {
			t.Errorf("%s: gift got the stamp %q", passing, got)
		}
	}
}

func TestAServiceSaysWhyANextOneDidNotAnswer(t *testing.T) {
	api := serve(t, Service{Name: "api", Version: "v1", Passing: Header, Next: []string{"127.0.0.1:1"}})
	resp, err := http.Get("http://" + api)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s, want 502", resp.Status)
	}
	if _, err := (Service{Passing: "pigeon"}).Handler(); err == nil {
		t.Error("an unknown way to pass the stamp on was taken")
	}
}
