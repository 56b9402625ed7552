package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cordon/asset"
	"cordon/policy"
)

// block writes a device as the configuration file would say it.
func block(name string, p asset.Permissions) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %s: %s\n", key, value)
		}
	}
	fmt.Fprintf(&b, "devices:\n  - name: %s\n", yamlText(name))
	line("ae_title", yamlText(string(p.AETitle)))
	line("addresses", yamlList(p.Addresses))
	line("certificates", yamlList(p.Certificates))
	if p.TLSRequired {
		line("tls", "required")
	}
	line("implementation", yamlText(string(p.Implementation)))
	line("user_identity", yamlText(p.UserIdentity))
	line("may", yamlList(p.May))
	var classes []string
	for _, c := range p.SOPClasses {
		classes = append(classes, keyword(c))
	}
	line("sop_classes", yamlList(classes))
	line("archives", yamlList(p.Archives))
	line("move_to", yamlList(p.MoveTo))
	line("hours", yamlList(p.Hours))
	line("archive", yamlText(p.Archive))
	line("also", yamlList(p.Also))
	if p.Monitor {
		line("mode", "monitor")
	}
	switch {
	case p.Port > 0:
		line("port", fmt.Sprint(p.Port))
		if p.PortTLS {
			line("port_tls", "true")
		}
	case slices.Contains(p.May, policy.ServiceCommit), slices.Contains(p.May, policy.ServiceRetrieve):
		b.WriteString("    # port: where it listens, if it is to get reports of commitment, or objects that archives send it\n")
	}
	return b.String()
}

// plainYAML is what YAML takes for a text as it stands, wherever it is.
var plainYAML = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// wordsOfYAML are those that it takes for something else.
var wordsOfYAML = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)

func yamlText(s string) string {
	if s == "" || plainYAML.MatchString(s) && !wordsOfYAML.MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// yamlList writes a list on one line, or nothing.
func yamlList[T any](list []T) string {
	if len(list) == 0 {
		return ""
	}
	var out []string
	for _, v := range list {
		out = append(out, yamlText(fmt.Sprint(v)))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
