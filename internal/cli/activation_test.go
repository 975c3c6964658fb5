package cli

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// TestSocketActivation hands up a socket as a service manager does, and
// restarts greenroom under it as the unit in deploy/systemd does: who connects
// meanwhile waits, nobody is turned away, and services run on.
func TestSocketActivation(t *testing.T) {
	p := newPlace(t)
	fleet := p.fleet()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: p.dir + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	if err := told.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		b := make([]byte, 100)
		n, err := told.Read(b)
		if got := string(b[:n]); err != nil || got != want {
			t.Errorf("the manager was told %q, %v, and expected %s", got, err, want)
		}
	}
	activate := func() *running {
		// A manager names itself to the process that it becomes; a shell can do so too.
		r := &running{Cmd: exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "up", "-f", fleet),
			out: &lockedBuffer{}, errors: newLockedBuffer(), ended: make(chan error, 1)}
		r.Dir, r.Env, r.Stdout, r.Stderr = p.dir, p.env("LISTEN_FDS=1", "LISTEN_FDNAMES=edge", "NOTIFY_SOCKET="+p.dir+"/notify"), r.out, r.errors
		r.ExtraFiles = []*os.File{socket}
		p.launch(r)
		return r
	}
	get := func() string {
		resp, err := http.Get("http://" + l.Addr().String() + "/")
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return string(body)
	}
	pids := func() (out []int) {
		var s client.Status
		if err := json.Unmarshal([]byte(p.must("status", "-o", "json").out), &s); err != nil {
			t.Fatal(err)
		}
		for _, i := range s.Services[0].Versions[0].Instances {
			out = append(out, i.PID)
		}
		return out
	}

	first := activate()
	if got := get(); got != "web v1" {
		t.Errorf("the edge answered %q", got)
	}
	expect("READY=1")
	before := pids()
	http.DefaultClient.CloseIdleConnections()
	p.must("down", "--yes", "--leave-services")
	if err := first.await(t); err != nil {
		t.Fatalf("it ended with %v: %s", err, first.errors)
	}
	expect("STOPPING=1")
	waited := make(chan string, 1)
	go func() { waited <- get() }()
	activate()
	if got := <-waited; got != "web v1" {
		t.Errorf("who came during the restart got %q", got)
	}
	if after := pids(); len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("the services had the pids %v, and have %v", before, after)
	}
}
