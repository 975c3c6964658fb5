module github.com/greenroom-dev/greenroom/test/cluster

go 1.26.0
