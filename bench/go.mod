module github.com/greenroom-dev/greenroom/bench

go 1.26
