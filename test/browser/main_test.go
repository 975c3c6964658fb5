//go:build e2e

package browser

import (
	"os"
	"testing"

	"github.com/greenroom-dev/greenroom/test/browser/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
