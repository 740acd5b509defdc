"""Charts as SVG text, made from numbers alone; colours and fonts come from the page's style sheet."""
