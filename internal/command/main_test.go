package command

import (
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // as golden files show times
	os.Exit(m.Run())
}
