// Command hello says that it runs.
package main

import "fmt"

func main() { fmt.Println("hello") }
