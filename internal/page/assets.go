package page

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"html/template"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"css":      func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own
	"js":       func() template.JS { return template.JS(pageJS) },    //nolint:gosec // our own
	"security": func() string { return contentSecurity },
}).Parse(pageHTML))

// contentSecurity is the Content-Security-Policy: only the page's own style and
// script may run, not scripts in names of functions or errors.
var contentSecurity = "default-src 'none'; style-src '" + hash(pageCSS) + "'; script-src '" + hash(pageJS) + "'; " +
	"img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
