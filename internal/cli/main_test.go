package cli

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/command"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

// The test binary plays greenroom itself, and a service.
func TestMain(m *testing.M) {
	time.Local = time.UTC // as golden files show times
	if len(os.Args) > 1 && os.Args[1] == shimCommand {
		os.Exit(Main(command.FromOS())) // with the environment of the service that it stands beside
	}
	switch os.Getenv("TEST_PART") {
	case "greenroom":
		os.Exit(Main(command.FromOS()))
	case "service":
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(os.Getenv("ANSWER"))) })
		_ = http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it); got:\n%s\nwant:\n%s", file, got, want)
	}
}
