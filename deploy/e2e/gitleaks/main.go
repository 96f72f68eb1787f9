// Prints gitleaks' own default configuration, as its released module has it.
package main

import (
	"fmt"

	"github.com/zricethezav/gitleaks/v8/config"
)

func main() {
	fmt.Print(config.DefaultConfig)
}
