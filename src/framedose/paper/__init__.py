"""The paper's figures and tables, made anew: what each needs, and what came out."""
