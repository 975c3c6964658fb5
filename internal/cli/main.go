package cli

import (
	greenroom "github.com/greenroom-dev/greenroom/internal/app"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/platform/local"
)

// shimCommand is the hidden command that stands beside every process.
const shimCommand = "shim"

// Main runs one command and returns its exit code. Tests may change what a
// greenroom is started with.
func Main(env command.Env, change ...func(*greenroom.Options)) int {
	if len(env.Args) > 0 && env.Args[0] == shimCommand {
		return local.ShimMain(env.Args[1:]) // before anything is set up that a shim has no use for
	}
	a := newApp(&env)
	a.change = change
	return a.Run(a.root())
}
