package cli

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/command"
)

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
