package config

import "github.com/greenroom-dev/greenroom/internal/fleet"

// Differences lists what differs between two versions of a service, by field.
// It never shows what environment variables hold.
func Differences(before, after fleet.Version) []Difference { return versionFields(before, after) }
