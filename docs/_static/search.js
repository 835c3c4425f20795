// Rank the pages of the site. Sphinx's own search needs each word of a query in a page, and ranks a page by its best word.
// Here a page may lack a word, rare words count more, and so do titles, keywords ({index} in the sources) and names.
"use strict";

const WEIGHTS = { keyword: 10, title: 10, name: 10, section: 6, partialName: 4, text: 1.5 };
const PAGES = [
  [/^(about|guide|(.*\/)?index)$/, 0.5],
  [/^(changes|contributing|genindex|security|glossary)/, 0.4],
  [/^(measured|all-options|messages)/, 0.5],
  [/^(reference\/|pictured|coming-from)/, 0.8],
];

const stemmer = new Stemmer();
const wordsOf = (text) => splitQuery(text.toLowerCase()).map((word) => [word, stemmer.stemWord(word)]);
const partsOf = (name) => name.replace(/([a-z])([A-Z][a-z])/g, "$1 $2").replaceAll("_", " "); // LayerNorm: Layer Norm
const listOf = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

let entries = null; // the titles, sections, keywords and names
const collect = () => {
  const { alltitles, titles, indexentries, objects, objnames } = Search._index;
  entries = [];
  const add = (text, page, weight, anchor, shown, keyword = null) =>
    entries.push({ stems: wordsOf(text).map(([, stem]) => stem), text: text.toLowerCase(), page, weight, anchor, shown, keyword });
  for (const [title, places] of Object.entries(alltitles))
    for (const [page, id] of places) {
      const own = titles[page] === title;
      add(title, page, own ? WEIGHTS.title : WEIGHTS.section, own || id === null ? "" : "#" + id, own ? title : `${titles[page]} > ${title}`);
    }
  for (const [entry, places] of Object.entries(indexentries))
    for (const [page, id] of places)
      if (!entry.includes("vecprop"))
        add(entry, page, WEIGHTS.keyword, id === "index-0" ? "" : "#" + id, titles[page], id === "index-0" ? null : entry);
  for (const [prefix, items] of Object.entries(objects))
    for (const [page, kind, , anchor, name] of items) {
      const full = prefix ? `${prefix}.${name}` : name;
      const id = anchor === "" ? full : anchor === "-" ? `${objnames[kind][1]}-${full}` : anchor;
      const own = titles[page].toLowerCase() === full.toLowerCase() || titles[page] === name;
      for (const text of new Set([name, partsOf(name)]))
        add(text, page, own ? WEIGHTS.name : WEIGHTS.partialName, own ? "" : "#" + id, own ? titles[page] : full);
    }
};

const rank = (query) => {
  if (entries === null) collect();
  const { docnames, filenames, titles, terms } = Search._index;
  const all = wordsOf(query);
  const words = all.filter(([word]) => !stopwords.has(word));
  const asked = (words.length ? words : all).map(([word, stem], place, { length }) => {
    const pages = new Set(Object.hasOwn(terms, stem) ? listOf(terms[stem]) : []);
    const typing = place === length - 1 && word.length > 2; // the last word may be unfinished
    if (typing && !pages.size)
      for (const term of Object.keys(terms)) if (term.startsWith(word)) listOf(terms[term]).forEach((page) => pages.add(page));
    return { word, stem, typing, pages, rarity: Math.log(1 + docnames.length / (1 + pages.size)) };
  });
  const found = new Map(); // page -> { scores by word, the best place in it }
  const pageOf = (page) => {
    if (!found.has(page)) found.set(page, { scores: asked.map(() => 0), place: null, most: 0 });
    return found.get(page);
  };
  const whole = query.toLowerCase().trim();
  for (const { stems, text, page, weight, anchor, shown, keyword } of entries) {
    let sum = 0;
    asked.forEach(({ word, stem, typing, rarity }, number) => {
      const exact = stems.includes(stem);
      if (!exact && !(typing && stems.some((other) => other.startsWith(word)))) return;
      const share = (exact ? 1 : 0.5) / Math.sqrt(Math.max(1, stems.length / asked.length));
      const scores = pageOf(page).scores;
      scores[number] = Math.max(scores[number], weight * share);
      sum += rarity * weight * share;
    });
    if (!sum) continue;
    if (text === whole) pageOf(page).bonus = Math.max(pageOf(page).bonus || 0, weight);
    const place = pageOf(page);
    if (sum > place.most) Object.assign(place, { most: sum, place: { anchor, shown, keyword } });
  }
  asked.forEach(({ pages }, number) => {
    for (const page of pages) pageOf(page).scores[number] += WEIGHTS.text;
  });
  return [...found].map(([page, { scores, place, bonus }]) => {
    const met = scores.filter((score) => score).length / asked.length;
    const [, factor] = PAGES.find(([pattern]) => pattern.test(docnames[page])) || [null, 1];
    const score = (asked.reduce((sum, { rarity }, number) => sum + rarity * scores[number], 0) * met * met + (bonus || 0)) * factor;
    const { anchor, shown, keyword } = place || { anchor: "", shown: titles[page], keyword: null };
    return [docnames[page], shown, anchor, keyword, score, filenames[page], "text"];
  });
};

// Sphinx shows results from the last to the first. Without this method, its own search stays.
if (typeof Search !== "undefined" && Search._performSearch)
  Search._performSearch = (query) => {
    document.getElementById("search-progress")?.replaceChildren();
    const results = rank(query).sort((a, b) => a[4] - b[4] || b[1].localeCompare(a[1])).slice(-30);
    return results.filter((result) => result[4] > 0.15 * results.at(-1)[4]);
  };
