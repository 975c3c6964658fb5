package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// The programs, built once.
var (
	greenroom string
	impatient string // greenroom with a short lease of the stage
	service   string
	ledger    string // a service with a database
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "greenroom-programs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	greenroom, impatient, service = filepath.Join(dir, "greenroom"), filepath.Join(dir, "impatient"), filepath.Join(dir, "service")
	ledger = filepath.Join(dir, "ledger")
	for program, source := range map[string]string{greenroom: "../../cmd/greenroom", impatient: "./program", service: "./service", ledger: "./ledger"} {
		if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", source, err, out)
			os.Exit(1)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long anything may take on a crowded machine before a test
// gives up on it.
const patience = 3 * time.Minute

// system is one greenroom with its fleet.
type system struct {
	t     *testing.T
	dir   string // of documents and of everything else
	state string
	edge  string // host:port
	api   *client.Client
	http  *http.Client

	program string  // that greenroom is
	up      *server // the one started last
	out     *output // what every one printed
}

// server is one run of greenroom up.
type server struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // of its end
}

// serve starts a command that is a greenroom up.
func (s *system) serve(cmd *exec.Cmd) {
	s.t.Helper()
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	up := &server{cmd: cmd, ended: make(chan struct{})}
	s.up = up
	go func() {
		up.err = cmd.Wait()
		close(up.ended)
	}()
}

// newSystem writes a Fleet document and starts nothing. In the text, SERVICE is
// the command of a service, "EDGE" a free address, and DIR the folder of it all.
func newSystem(t *testing.T, fleet string) *system {
	t.Helper()
	dir, err := os.MkdirTemp("", "gr") // a short path: sockets have no long ones
	if err != nil {
		t.Fatal(err)
	}
	s := &system{
		t: t, program: greenroom, dir: dir, state: filepath.Join(dir, "state"), edge: freeAddress(t), out: &output{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
	s.api = client.Socket(filepath.Join(s.state, "greenroom.sock"))
	t.Cleanup(s.clean)
	s.write("greenroom.yaml", fleet)
	return s
}

// clean ends everything of the system that still lives.
func (s *system) clean() {
	if s.t.Failed() {
		s.t.Logf("greenroom printed:\n%s", s.out.tail(60))
	}
	s.http.CloseIdleConnections()
	for range 3 { // a greenroom that dies between the looks may have started one more
		for pid := range s.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if s.up != nil {
		<-s.up.ended
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Logf("remove %s: %v", s.dir, err)
	}
}

// write puts a document into the system's folder and returns its path.
func (s *system) write(name, text string) string {
	s.t.Helper()
	text = strings.NewReplacer("SERVICE", service+", "+s.dir, `"EDGE"`, `"`+s.edge+`"`, "DIR", s.dir).Replace(text)
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// start starts greenroom up and waits until it serves with every service ready.
func (s *system) start() *system {
	s.t.Helper()
	s.launch()
	s.eventually("greenroom serves with every service ready", func() error { return s.serves() })
	return s
}

// launch starts greenroom up and waits for nothing.
func (s *system) launch() {
	s.t.Helper()
	s.serve(exec.Command(s.program, "up", "-f", filepath.Join(s.dir, "greenroom.yaml"), "--state", s.state))
}

// serves says why greenroom does not serve with every service ready.
func (s *system) serves() error {
	select {
	case <-s.up.ended:
		s.t.Fatalf("greenroom ended: %v\n%s", s.up.err, s.out.tail(20))
	default:
	}
	status, err := s.api.Status(s.t.Context())
	if err != nil {
		return err
	}
	for _, one := range status.Services {
		if len(one.Versions) == 0 || one.Versions[0].State != "ready" {
			return fmt.Errorf("%s is not ready: %+v", one.Name, one.Versions)
		}
	}
	resp, err := s.http.Get("http://" + s.edge + "/healthz")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// kill ends greenroom, and nothing else, by SIGKILL.
func (s *system) kill() {
	s.t.Helper()
	if err := s.up.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
	<-s.up.ended
	s.http.CloseIdleConnections()
}

// awaitEnd waits until greenroom has ended and returns its exit code.
func (s *system) awaitEnd() int {
	s.t.Helper()
	select {
	case <-s.up.ended:
	case <-time.After(patience):
		s.t.Fatalf("greenroom has not ended\n%s", s.out.tail(20))
	}
	return s.up.cmd.ProcessState.ExitCode()
}

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// cli runs a command of greenroom to its end.
func (s *system) cli(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, greenroom, append(args, "--state", s.state)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("greenroom %v: %v", args, err)
	}
	return result{code: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
}

// must runs a command that has to succeed.
func (s *system) must(args ...string) result {
	s.t.Helper()
	r := s.cli(args...)
	if r.code != 0 {
		s.t.Fatalf("greenroom %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r
}

// refused runs a command that has to end with a code, and say something.
func (s *system) refused(code int, says string, args ...string) {
	s.t.Helper()
	r := s.cli(args...)
	if r.code != code || !strings.Contains(r.out+r.err, says) {
		s.t.Fatalf("greenroom %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), r.code, code, says, r.out, r.err)
	}
}

// open writes a Release document and opens it by the command line.
func (s *system) open(name, services string) {
	s.t.Helper()
	s.must("release", "open", "-f", s.write(name+".yaml", releaseText(name, services)))
}

func releaseText(name, spec string) string {
	return "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: " + name + "}\nspec:\n" + spec
}

// status is greenroom's own view of everything.
func (s *system) status() client.Status {
	s.t.Helper()
	status, err := s.api.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// release is greenroom's own view of one release.
func (s *system) release(name string) client.Release {
	s.t.Helper()
	r, err := s.api.Release(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// awaitPhase waits until a release is in a phase.
func (s *system) awaitPhase(name, phase string) {
	s.t.Helper()
	s.eventually(name+" is "+phase, func() error {
		r, err := s.api.Release(s.t.Context(), name)
		if err == nil && r.Phase != phase {
			err = fmt.Errorf("it is %s: %s", r.Phase, r.Reason)
		}
		return err
	})
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks the edge; headers are given as name, value, name, value.
func (s *system) get(path string, headers ...string) answer {
	s.t.Helper()
	a, err := s.try(http.MethodGet, path, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *system) try(method, path string, headers ...string) (answer, error) {
	// A body that can not be had twice: the client must not send again what a
	// killed greenroom may have passed on.
	r, err := http.NewRequest(method, "http://"+s.edge+path, io.NopCloser(strings.NewReader("")))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

// answers asserts what an ordinary request gets.
func (s *system) answers(want string, headers ...string) {
	s.t.Helper()
	if got := s.get("/", headers...); got.status != http.StatusOK || got.body != want {
		s.t.Fatalf("answered %d %q, want %q", got.status, got.body, want)
	}
}

// eventually waits for a condition, which says what is still missing.
func (s *system) eventually(what string, condition func() error) {
	s.t.Helper()
	eventually(s.t, what, condition)
}

func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	over := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// processes are those that live with this system's folder among their
// arguments: greenroom, its services and their shims.
func (s *system) processes() map[int]string {
	s.t.Helper()
	out, err := exec.Command("ps", "-axww", "-o", "pid=,state=,args=").Output()
	if err != nil {
		s.t.Fatalf("list the processes: %v", err)
	}
	found := map[int]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(fields[1], "Z") || !strings.Contains(line, s.dir) {
			continue
		}
		if pid, err := strconv.Atoi(fields[0]); err == nil {
			found[pid] = strings.Join(fields[2:], " ")
		}
	}
	return found
}

// services are those of the processes that are services.
func (s *system) services() map[int]string {
	s.t.Helper()
	found := map[int]string{}
	for pid, args := range s.processes() {
		if strings.HasPrefix(args, service+" ") {
			found[pid] = args
		}
	}
	return found
}

// instances are the processes that greenroom says it runs, by pid.
func (s *system) instances() map[int]string {
	s.t.Helper()
	found := map[int]string{}
	for _, one := range s.status().Services {
		for _, v := range one.Versions {
			for _, i := range v.Instances {
				if i.PID != 0 {
					found[i.PID] = v.ID + " " + i.ID
				}
			}
		}
	}
	return found
}

// gone asserts that nothing of the system lives.
func (s *system) gone() {
	s.t.Helper()
	s.eventually("no process is left", func() error {
		if left := s.processes(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) tail(lines int) string {
	all := strings.Split(o.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

var taken struct {
	sync.Mutex
	ports map[int]bool
	next  int
}

// freeAddress is one that nobody listens at, below the ports that the system
// and greenroom give away.
func freeAddress(t *testing.T) string {
	t.Helper()
	taken.Lock()
	defer taken.Unlock()
	if taken.ports == nil {
		taken.ports, taken.next = map[int]bool{}, 10_000+os.Getpid()*37%9_000
	}
	for range 9_000 {
		taken.next = 10_000 + (taken.next+1-10_000)%9_000
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(taken.next))
		if taken.ports[taken.next] {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			taken.ports[taken.next] = true
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// path is the versions along an answer's path, by service.
func path(body string) map[string]string {
	met := map[string]string{}
	for _, hop := range hops.FindAllStringSubmatch(body, -1) {
		met[hop[1]] = hop[2]
	}
	return met
}

var hops = regexp.MustCompile(`(\w+)=(\S+)`)

// decode reads what a command printed by -o json.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// alive reports whether a process lives, by its pid in words.
func alive(pid string) bool {
	state, err := exec.Command("ps", "-o", "state=", "-p", pid).Output()
	return err == nil && !strings.HasPrefix(string(state), "Z")
}
