package mesh_test

import (
	"os"
	"testing"

	"github.com/greenroom-dev/greenroom/internal/gateway/gatewaytest"
)

func TestMain(m *testing.M) { os.Exit(gatewaytest.Both(m)) }
