"use strict";
// The page works without this script. The script shows the text of a cell, moves
// over the map by the arrow keys, and refreshes the page.
(() => {
	const refreshInterval = 60000; // ms
	const main = document.getElementById("main");
	const report = document.body.classList.contains("report");

	const cellsOf = (map) => [...map.tBodies[0].rows].filter((row) => row.cells.length > 1).map((row) => [...row.cells].slice(1));

	// zoomOf returns the link above a column.
	const zoomOf = (map, column) => {
		for (const row of [...map.tHead.rows].reverse()) {
			let at = -1;
			for (const cell of row.cells) {
				at += cell.colSpan;
				if (at > column && cell.querySelector("a")) return cell.querySelector("a");
			}
		}
		return null;
	};

	const showCellText = (cell) => {
		const view = cell.closest(".view");
		const name = cell.parentElement.cells[0].querySelector("bdi");
		view.querySelector(".cell").textContent = name.textContent + ", " + (cell.title || "nothing expected");
	};

	const prepareMaps = () => {
		for (const map of document.querySelectorAll(".map")) {
			const first = map.querySelector("tbody th + td");
			if (first) first.tabIndex = 0;
			const box = map.closest(".box");
			if (!box.dataset.at) box.scrollLeft = box.scrollWidth;
		}
	};

	const moveFocus = (from, to) => {
		from.tabIndex = -1;
		to.tabIndex = 0;
		to.focus();
		to.scrollIntoView({ block: "nearest", inline: "nearest" });
	};

	const move = (map, cell, key) => {
		const rows = cellsOf(map);
		let y = rows.findIndex((row) => row.includes(cell));
		let x = rows[y].indexOf(cell);
		switch (key) {
			case "ArrowLeft": x--; break;
			case "ArrowRight": x++; break;
			case "ArrowUp": y--; break;
			case "ArrowDown": y++; break;
			case "Home": x = 0; break;
			case "End": x = rows[y].length - 1; break;
			case "Enter": {
				const link = zoomOf(map, x);
				if (link) link.click();
				return true;
			}
			default: return false;
		}
		const to = rows[y] && rows[y][x];
		if (to) moveFocus(cell, to);
		return true;
	};

	document.addEventListener("keydown", (event) => {
		const cell = event.target.closest(".map tbody td:not(.empty)");
		if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
		if (move(cell.closest("table"), cell, event.key)) event.preventDefault();
	});
	for (const kind of ["focusin", "mouseover", "click"]) {
		document.addEventListener(kind, (event) => {
			const cell = event.target.closest && event.target.closest(".map tbody td:not(.empty)");
			if (cell) showCellText(cell);
		});
	}
	prepareMaps();
	addEventListener("hashchange", prepareMaps);
	if (report) return;

	// saveState saves what is scrolled, open and focused, and returns a function that
	// restores it.
	const saveState = () => {
		const boxes = [...main.querySelectorAll(".box")].map((box) => [box.scrollLeft, box.scrollTop]);
		const open = [...main.querySelectorAll("details")].map((d) => d.open);
		const focusable = "a, td[tabindex], button, summary, .box";
		const focused = [...main.querySelectorAll(focusable)].indexOf(document.activeElement);
		const cell = document.activeElement.closest(".map tbody td");
		const at = cell && [cell.parentElement.rowIndex, cell.cellIndex];
		return () => {
			main.querySelectorAll("details").forEach((d, i) => { d.open = open[i]; });
			main.querySelectorAll(".box").forEach((box, i) => { if (boxes[i]) { box.dataset.at = "1"; [box.scrollLeft, box.scrollTop] = boxes[i]; } });
			prepareMaps();
			const map = main.querySelector(".map");
			const sameCell = at && map.rows[at[0]] && map.rows[at[0]].cells[at[1]];
			if (sameCell) moveFocus(map.querySelector("td[tabindex='0']") || sameCell, sameCell);
			else if (focused >= 0) main.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
		};
	};

	const note = document.createElement("span");
	const button = document.createElement("button");
	button.type = "button";
	let paused = false;
	const labelButton = () => {
		button.textContent = paused ? "Refresh every minute" : "Stop refreshing";
	};
	button.addEventListener("click", () => { paused = !paused; labelButton(); });
	labelButton();
	document.getElementById("refresh").append(note, button);

	const refresh = async () => {
		if (document.hidden || main.querySelector("input:focus")) return;
		try {
			const answer = await fetch(location.href, { cache: "no-store" });
			if (!answer.ok) throw new Error(String(answer.status));
			const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
			const restore = saveState();
			main.replaceChildren(...fresh.getElementById("main").childNodes);
			document.querySelector(".top time").textContent = fresh.querySelector(".top time").textContent;
			note.textContent = "";
			restore();
		} catch {
			note.textContent = "; the last refresh failed";
		}
	};
	setInterval(() => { if (!paused) refresh(); }, refreshInterval);
	document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused) refresh(); });
})();
