package container

import (
	"fmt"
	"path"
	"strings"
)

func lowerName(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
}

// judgeName judges a member by its name: where it would be unpacked, and what
// opening it would do.
func (l *level) judgeName(index, at int, name string) {
	name = lowerName(name)
	where := fmt.Sprintf("%s!member[%d]", l.path, index)
	if escapes(name) {
		l.visitor.Found(Found{ID: "path-traversal", Path: where, Offset: l.at(at), Detail: "a member's name leads outside"})
	}
	if ext := path.Ext(strings.TrimRight(name, " .")); runnable[ext] {
		l.visitor.Found(Found{ID: "runnable-member", Path: where, Offset: l.at(at), Detail: "extension " + ext})
	}
}

// escapes reports whether a name, in lower case with '/' between its parts,
// leads outside the folder that it is unpacked into.
func escapes(name string) bool {
	if strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':' && isLetter(name[0]) {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// runnable are the extensions of what runs when it is opened. Those that files of
// data have as often (.com, .reg, .inf) are not among them: their content is judged.
var runnable = map[string]bool{
	".exe": true, ".scr": true, ".pif": true, ".cpl": true, ".msi": true, ".msp": true, ".mst": true, ".gadget": true,
	".bat": true, ".cmd": true, ".vbs": true, ".vbe": true, ".js": true, ".jse": true, ".wsf": true, ".wsh": true, ".wsc": true,
	".hta": true, ".ps1": true, ".psm1": true, ".lnk": true, ".url": true, ".scf": true, ".jar": true, ".jnlp": true,
	".chm": true, ".appref-ms": true, ".application": true, ".library-ms": true, ".settingcontent-ms": true,
	".docm": true, ".dotm": true, ".xlsm": true, ".xltm": true, ".xlam": true, ".pptm": true, ".ppam": true, ".xll": true,
	".sh": true, ".command": true, ".desktop": true,
}
