package page

import "encoding/json"

// contrastScript finds texts with too little contrast to their background, and
// measures the contrast of the states' colours with the card.
const contrastScript = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = (color, under) => {
		canvas.clearRect(0, 0, 1, 1);
		if (under) { canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1); }
		canvas.fillStyle = color;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort(); return (y + 0.05) / (x + 0.05); };
	const behind = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const color = getComputedStyle(e).backgroundColor;
			if (rgb(color)[3] === 255) return color;
		}
		return "white";
	};
	const low = [];
	let texts = 0;
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const element = walker.currentNode.parentElement;
		const style = getComputedStyle(element);
		if (!walker.currentNode.textContent.trim() || !element.getClientRects().length || style.fontSize === "0px" || element.closest("svg, script, style, .none")) continue;
		texts++;
		const under = behind(element);
		const found = contrast(rgb(style.color, under), rgb(under));
		if (found < 4.5) low.push(element.outerHTML.slice(0, 90) + " " + found.toFixed(2));
	}
	const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
	const card = rgb(variable("card"));
	const states = {};
	for (const name of ["complete", "flight", "short", "failed", "missed", "gone", "expired", "off", "unread", "bar"]) states[name] = contrast(rgb(variable(name)), card);
	const letters = {};
	for (const name of ["flight", "short", "failed", "missed", "gone", "expired"]) letters[name] = contrast(rgb(variable(name)), rgb(variable("on")));
	return JSON.stringify({ low: [...new Set(low)], texts, states, letters });
})()`

// Texts, the map's colours and the letters on them have enough contrast in
// light and dark mode (WCAG 2: 4.5 for text, 3 for graphics).
func contrasts(p *tab) {
	for _, dark := range []bool{false, true} {
		p.dark(dark)
		p.open("/?zoom=day&at=2026-03-11")
		var found struct {
			Low             []string
			Texts           int
			States, Letters map[string]float64
		}
		if err := json.Unmarshal([]byte(eval[string](p, contrastScript)), &found); err != nil {
			p.t.Fatal(err)
		}
		if found.Texts < 200 {
			p.t.Errorf("only %d texts were checked", found.Texts)
		}
		for _, low := range found.Low {
			p.t.Errorf("dark %t: too little contrast: %s", dark, low)
		}
		for name, c := range found.States {
			if c < 3 {
				p.t.Errorf("dark %t: %s has a contrast of %.2f with the card", dark, name, c)
			}
		}
		for name, c := range found.Letters {
			if c < 4.5 {
				p.t.Errorf("dark %t: the letter on %s has a contrast of %.2f", dark, name, c)
			}
		}
		if len(found.States) != 10 || len(found.Letters) != 6 {
			p.t.Errorf("colours are missing: %v %v", found.States, found.Letters)
		}
	}
}
