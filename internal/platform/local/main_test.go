package local

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/fleet"
	"github.com/greenroom-dev/greenroom/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// The test binary plays every part itself: its first argument says which.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "shim":
			os.Exit(ShimMain(os.Args[2:]))
		case "service":
			os.Exit(serviceMain(os.Args[2:]))
		case "supervisor":
			os.Exit(supervisorMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// serviceMain is a small service that can misbehave.
func serviceMain(args []string) int {
	flags := flag.NewFlagSet("service", flag.ExitOnError)
	exit := flags.Int("exit", -1, "say goodbye and exit at once with this code")
	burst := flags.Int("burst", 0, "print so many lines right before -exit")
	exitFile := flags.String("exit-file", "", "exit with code 3 while this file exists")
	busyFile := flags.String("busy-file", "", "where it is missing, make it and fail as if the port were taken")
	port := flags.String("port", os.Getenv("PORT"), "port to listen on")
	protocol := flags.String("protocol", "http", "http, grpc or none")
	stubborn := flags.Bool("stubborn", false, "ignore SIGTERM")
	child := flags.Bool("child", false, "have a child that ignores SIGTERM")
	notServing := flags.Bool("not-serving", false, "gRPC health says NOT_SERVING")
	_ = flags.Parse(args)

	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if *exit >= 0 {
		fmt.Println("goodbye from", os.Getenv("GREENROOM_INSTANCE"))
		var text strings.Builder
		for n := range *burst {
			fmt.Fprintf(&text, "last words %d\n", n)
		}
		_, _ = os.Stdout.WriteString(text.String())
		return *exit
	}
	if _, err := os.Stat(*exitFile); *exitFile != "" && err == nil {
		fmt.Fprintln(os.Stderr, "asked to exit by a file")
		return 3
	}
	if _, err := os.Stat(*busyFile); *busyFile != "" && err != nil {
		_ = os.WriteFile(*busyFile, nil, 0o600)
		fmt.Fprintln(os.Stderr, "listen tcp: bind: address already in use")
		return 1
	}
	if *child {
		child := exec.Command(shimCommand()[0], "service", "-protocol", "none", "-stubborn")
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("child", child.Process.Pid)
	}
	if *protocol == "none" {
		for <-term; *stubborn; {
			<-term
		}
		return 0
	}
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	if *protocol == "grpc" {
		srv, h := grpc.NewServer(), health.NewServer()
		grpc_health_v1.RegisterHealthServer(srv, h)
		h.SetServingStatus("wallet", grpc_health_v1.HealthCheckResponse_SERVING)
		if *notServing {
			h.SetServingStatus("wallet", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		}
		go func() { _ = srv.Serve(l) }()
	} else {
		go func() { _ = http.Serve(l, serviceHandler()) }()
	}
	for {
		<-term
		if !*stubborn {
			fmt.Println("terminated")
			return 0
		}
		fmt.Println("ignoring SIGTERM")
	}
}

func serviceHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat("sick"); err == nil {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/log", func(w http.ResponseWriter, r *http.Request) {
		n := r.FormValue("n")
		fmt.Println("request", n)
		fmt.Fprintln(os.Stderr, "served", n)
	})
	mux.HandleFunc("/environ", func(w http.ResponseWriter, r *http.Request) {
		dir, _ := os.Getwd()
		_ = json.NewEncoder(w).Encode(map[string]any{"env": os.Environ(), "args": os.Args, "dir": dir, "pid": os.Getpid()})
	})
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		os.Exit(code)
	})
	return mux
}

// order is what a supervisor process is told on its command line.
type order struct {
	Dir   string
	Specs []Spec
}

// supervisorMain is a greenroom that can be killed: it ensures what it is told
// and prints what it observes, one JSON object a line.
func supervisorMain(args []string) int {
	var o order
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	out := json.NewEncoder(os.Stdout)
	changed := make(chan struct{}, 1)
	p, err := New(Options{Dir: o.Dir, Shim: shimCommand(), Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = out.Encode(p.Observe()) // the first line: all that follows may be cut off
	for _, spec := range o.Specs {
		if err := p.Ensure(context.Background(), spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	for range changed {
		_ = out.Encode(p.Observe())
	}
	return 0
}

func shimCommand() []string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return []string{self, "shim"}
}

// bench is a platform in a folder of its own, and what its test needs.
type bench struct {
	*Platform
	t       *testing.T
	dir     string
	changed chan struct{}
	looked  map[string]Status // when so much was
	counted uint64
}

func newBench(t *testing.T, more ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	// Last of all: nothing may outlive the test, whatever happened in it.
	t.Cleanup(func() { killAllBelow(t, b.dir) })
	b.reopen(more...)
	return b
}

// reopen closes the platform and opens another on its folder.
func (b *bench) reopen(more ...func(*Options)) {
	b.t.Helper()
	if b.Platform != nil {
		b.mustClose()
	}
	changed := make(chan struct{}, 1)
	o := Options{Dir: b.dir, Shim: shimCommand(), Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}}
	for _, f := range more {
		f(&o)
	}
	p, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Platform, b.changed, b.looked = p, changed, nil
	b.t.Cleanup(func() { _ = p.Close() })
}

func (b *bench) mustClose() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// spec is a version of the test service, run with these arguments.
func (b *bench) spec(name string, args ...string) Spec {
	b.t.Helper()
	return serviceSpec(b.t, b.Platform, name, args...)
}

func serviceSpec(t *testing.T, p *Platform, name string, args ...string) Spec {
	t.Helper()
	self := shimCommand()[0]
	sha, err := p.Store(self)
	if err != nil {
		t.Fatal(err)
	}
	return Spec{
		Version: fleet.Version{Service: "api", Name: name, Run: &fleet.Run{
			Command: append([]string{"bin/api", "service"}, args...), Executable: self, SHA256: sha,
			Dir: t.TempDir(), Replicas: 1,
		}},
		Service: fleet.Service{
			Name: "api", Protocol: fleet.HTTP, Drain: 10 * time.Second,
			Health: fleet.Health{
				Kind: fleet.HealthHTTP, Path: "/healthz", Interval: 50 * time.Millisecond, Timeout: 30 * time.Second,
				Failures: 2, StartWithin: 2 * time.Minute, MaxRestarts: 5,
			},
		},
		// Under the race detector, a process would sleep for a second at its end.
		Env: map[string]string{"GORACE": "atexit_sleep_ms=0"},
	}
}

func (b *bench) ensure(s Spec) {
	b.t.Helper()
	if err := b.Ensure(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
}

// look observes, and sees to it that what is decided by never changes without
// being counted as a change.
func (b *bench) look() map[string]Status {
	b.t.Helper()
	all, changes := b.ObserveSince(0)
	if before := b.looked; changes == b.counted && before != nil {
		for version, st := range all {
			was := before[version]
			if st.Ready != was.Ready || st.Failed != was.Failed || st.Stopping != was.Stopping || st.Gone != was.Gone {
				b.t.Errorf("%s became %+v uncounted, after it was %+v", version, st, was)
			}
		}
	}
	b.looked, b.counted = all, changes
	return all
}

// await returns the version's status as soon as ok holds of it.
func (b *bench) await(version, what string, ok func(Status) bool) Status {
	b.t.Helper()
	patience := time.After(3 * time.Minute)
	for {
		st := b.look()[version]
		if ok(st) {
			return st
		}
		select {
		case <-b.changed:
		case <-patience:
			b.t.Fatalf("%s is not %s: %+v", version, what, st)
		}
	}
}

func (b *bench) awaitReady(version string, n int) Status {
	b.t.Helper()
	return b.await(version, "ready", func(st Status) bool { return st.Ready == n && st.Failed == "" })
}

func (b *bench) awaitGone(version string) Status {
	b.t.Helper()
	return b.await(version, "gone", func(st Status) bool { return st.Gone })
}

// eventually waits for something outside of the platform.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience := time.After(3 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-patience:
			t.Fatal("never happened: " + what)
		}
	}
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	res, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// lines returns all that the version printed, as "stream text".
func (b *bench) lines(version string) []string {
	b.t.Helper()
	var got []string
	err := b.Logs(b.t.Context(), []string{version}, false, -1, func(l LogLine) error {
		got = append(got, l.Stream+" "+l.Text)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// serving returns the processes of services and shims that belong to instances
// below dir, from the system rather than from what the platform believes.
func serving(t *testing.T, dir string) (services, shims []int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Fatal("needs /proc")
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	dirs, _ := filepath.Glob(filepath.Join(dir, "versions", "*", "*"))
	for _, d := range dirs {
		ids["GREENROOM_INSTANCE="+filepath.Base(d)] = true
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue
		}
		for v := range strings.SplitSeq(string(env), "\x00") {
			if !ids[v] {
				continue
			}
			cmd, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			if strings.Contains(string(cmd), "\x00shim\x00") {
				shims = append(shims, pid)
			} else {
				services = append(services, pid)
			}
		}
	}
	return services, shims
}

func killAllBelow(t *testing.T, dir string) {
	eventually(t, "end of what the test started", func() bool {
		services, shims := serving(t, dir)
		for _, pid := range append(services, shims...) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(services)+len(shims) == 0
	})
}

func alive(pid int) bool {
	_, err := process.Identify(pid)
	return err == nil
}
