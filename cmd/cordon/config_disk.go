package main

import (
	"github.com/goccy/go-yaml/ast"

	"cordon/custody"
)

// disk reads what the data directory's disk must have left.
func (d *document) disk(n ast.Node, w *custody.Watermarks) {
	const most = 1 << 30 // MiB: a pebibyte
	d.mapping(n, keys{
		"warn_mib":  d.mebibytes(&w.Warn.Bytes, most),
		"spool_mib": d.mebibytes(&w.Spool.Bytes, most),
		"vault_mib": d.mebibytes(&w.Vault.Bytes, most),
	})
}

// wholeDisk holds the marks against one another: each keeps room for the next.
func (d *document) wholeDisk(c *Config) {
	w := c.Disk
	if w.Spool.Bytes != 0 && w.Spool.Bytes < w.Vault.Bytes {
		d.wrongAt("disk.spool_mib", "less than disk.vault_mib, so that nothing would be kept for what is held; write more")
	}
	if w.Warn.Bytes != 0 && w.Warn.Bytes < max(w.Spool.Bytes, w.Vault.Bytes) {
		d.wrongAt("disk.warn_mib", "less than the mark that it is to warn of; write more")
	}
}
