"""Grading of a student's functions: right, or what is wrong, in three hints.

`tasks` says what each function has to do, `mistakes` how it is often wrong. `judging` compares what a function returns
with what it should, and looks for the mistake that explains all differences. What is called is a function in this
process (`process.student.call`), or one of a file in a process of its own (`process`).
"""
