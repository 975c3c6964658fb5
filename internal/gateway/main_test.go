package gateway_test

import (
	"os"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childPath) != "" {
		os.Exit(m.Run())
	}
	os.Exit(gatewaytest.Both(m))
}
