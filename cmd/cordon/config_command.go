package main

import (
	"errors"
	"fmt"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Report every error of a configuration file, and what to write instead."`
}

type configCheckCommand struct {
	File string `arg:"" help:"Configuration file."`
}

// Run prints the problems, or says that there is none.
func (c configCheckCommand) Run(std stdio) error {
	config, err := readConfig(c.File, true)
	var wrong *ConfigError
	if errors.As(err, &wrong) {
		fmt.Fprintln(std.out, wrong.lines())
		return failure{2, nil}
	}
	if err == nil {
		_, err = config.Engines.hashes()
	}
	if err != nil {
		return failure{2, err}
	}
	fmt.Fprintf(std.out, "%s is good: gateway %s on %s, %s, %s, console on %s, data in %s\n", c.File,
		config.Gateway.AETitle, config.Gateway.Listen, archives(config), count(len(config.Devices), "declared device"), config.Console.Listen, config.Data)
	return nil
}

func archives(c Config) string {
	if len(c.Archives) == 0 {
		return "the folder archive"
	}
	return count(len(c.Archives), "archive")
}

// count is "1 device" or "2 devices".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
