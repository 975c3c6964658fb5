package local

// listeningPorts cannot be learnt here without tools that may be missing.
func listeningPorts(int) []int { return nil }
