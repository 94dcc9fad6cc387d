"""The paper's tables and figures: experiments, tables, figures, ledger, analyses, plots, benchmarks."""
